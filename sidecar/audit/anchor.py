"""The head of the journal kept outside the database, so that a cut tail or a rebuilt journal shows. Knows no record's meaning."""

import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import structlog

from sidecar.audit.chain import Head
from sidecar.contract import Json
from sidecar.errors import ClusterUnavailable, JournalUnavailable, SettingsError
from sidecar.ports import ApiCall, Cluster

log = structlog.get_logger("sidecar.anchor")


_durable = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


class Anchor(Protocol):
    def keep(self, head: Head) -> None:
        """Raises JournalUnavailable: then nothing is answered."""
        ...

    def kept(self) -> Head | None:
        """The last head kept, None when there was never one; raises JournalUnavailable when it cannot be read."""
        ...

    def settle(self) -> None:
        """What was kept without waiting for the disk is on it; raises JournalUnavailable."""
        ...

    def close(self) -> None: ...


class AnchorFile:
    """One small JSON file of one size, written over in place. A file that is replaced costs a commit of the file system's own
    journal each time, several times the rest of a record. One sector is written whole or not at all, as SQLite relies on too
    ("powersafe overwrite"); a file of any other size is replaced as a whole."""

    SIZE = 256

    def __init__(self, path: Path, *, waits: bool = True) -> None:
        """`waits`: for the disk, before `keep` returns. An anchor that does not is written by then as well, whoever ends the
        process, and on the disk with the next `settle`: a machine that loses its power in between leaves it behind the
        journal, which is on the disk, and never before it."""
        self.path = path
        self._waits = waits
        self._unsettled = False

    def keep(self, head: Head) -> None:
        content = json.dumps({"seq": head.seq, "mac": head.mac}).encode().ljust(self.SIZE - 1) + b"\n"
        with self._complaining():
            if not self._written_over(content):
                self._replaced(content)

    def settle(self) -> None:
        """Where the disk does not take it, every head is waited for from then on."""
        if not self._unsettled:
            return
        self._unsettled = False  # what is kept from here on is the next one's
        try:
            with self._complaining():
                descriptor = os.open(self.path, os.O_WRONLY)
                try:
                    _durable(descriptor)
                finally:
                    os.close(descriptor)
        except JournalUnavailable:
            self._unsettled = self._waits = True
            raise

    @contextmanager
    def _complaining(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise JournalUnavailable(f"the journal's anchor {self.path} cannot be written: {exc.strerror}") from exc

    def _written_over(self, content: bytes) -> bool:
        try:
            descriptor = os.open(self.path, os.O_WRONLY)
        except FileNotFoundError:
            return False
        try:
            # Not fstat: who asks for a file's times makes the next write keep a new one, and that costs half a commit more.
            if os.lseek(descriptor, 0, os.SEEK_END) != len(content):
                return False
            os.pwrite(descriptor, content, 0)
            if self._waits:
                _durable(descriptor)
            else:
                self._unsettled = True
        finally:
            os.close(descriptor)
        return True

    def _replaced(self, content: bytes) -> None:
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}-{threading.get_ident()}.new")  # two may share the folder
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)

    def kept(self) -> Head | None:
        try:
            return _head(json.loads(self.path.read_text()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise JournalUnavailable(f"the journal's anchor {self.path} cannot be read") from exc

    def close(self) -> None:
        with suppress(JournalUnavailable):
            self.settle()


class AnchorConfigMap:
    """A ConfigMap, written at most once a second by a thread of its own: the API server holds no answer up, and a head that it
    has not taken yet is in the file and in the log. It never goes back to an earlier head."""

    PAUSE_SECONDS = 1.0

    def __init__(self, cluster: Cluster, place: str) -> None:
        """`place`: "namespace/name"."""
        namespace, _, name = place.rpartition("/")
        self.place = f"ConfigMap {namespace}/{name}"
        self._path = f"/api/v1/namespaces/{namespace}/configmaps/{name}"
        self._cluster = cluster
        self._latest: Head | None = None
        self._news, self._ended = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._failing = False

    def keep(self, head: Head) -> None:
        self._latest = head
        self._news.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="anchor", daemon=True)
            self._thread.start()

    def kept(self) -> Head | None:
        try:
            return self._look()[0]
        except ClusterUnavailable as exc:
            raise JournalUnavailable(f"the journal's anchor, {self.place}, cannot be read: {exc}") from exc

    def settle(self) -> None:
        pass  # nobody waits for it, and it has a thread of its own

    def close(self) -> None:
        """What is known last is written before the process ends."""
        self._ended.set()
        self._news.set()
        if self._thread is not None:
            self._thread.join(5)

    def _work(self) -> None:
        while True:
            self._news.wait()
            ended = self._ended.is_set()
            self._news.clear()
            self._publish()
            if ended or self._ended.wait(self.PAUSE_SECONDS):
                self._publish()
                return

    def _publish(self) -> None:
        head = self._latest
        if head is None:
            return
        try:
            known, version = self._look()
            if known is not None and known.seq >= head.seq:
                return
            body: Json = {"metadata": {"resourceVersion": version}, "data": {"seq": str(head.seq), "mac": head.mac}}
            call = ApiCall(method="PATCH", path=self._path, body=body, content_type="application/merge-patch+json")
            status = self._cluster.send(call).status
            if status not in (200, 409):  # 409: another sidecar was faster
                raise ClusterUnavailable(f"the API server says {status}")
        except ClusterUnavailable as exc:
            if not self._failing:
                log.warning("anchor not written, will be tried again", anchor=self.place, reason=str(exc)[:300])
            self._failing = True
            self._news.set()
        else:
            self._failing = False

    def _look(self) -> tuple[Head | None, str]:
        answer = self._cluster.send(ApiCall(method="GET", path=self._path))
        body = answer.body if isinstance(answer.body, dict) else {}
        if answer.status != 200:
            raise ClusterUnavailable(
                f"the API server says {answer.status}; deploy/rbac/sidecar.yaml has it, and who may write it"
            )
        metadata = body.get("metadata")
        version = metadata.get("resourceVersion") if isinstance(metadata, dict) else ""
        data = body.get("data")
        if not isinstance(data, dict) or not data.get("seq"):
            return None, str(version)
        try:
            return _head(data), str(version)
        except (ValueError, KeyError, TypeError) as exc:
            raise ClusterUnavailable("it holds no head of a journal") from exc


_LOGGED = re.compile(r"\{.*\"journal head\".*\}")


def heads_in(path: Path) -> list[Head]:
    """Every head in a file: an anchor's, or the lines "journal head" of a sidecar's log, whatever stands around them.

    Raises SettingsError when the file cannot be read or holds none.
    """
    try:
        text = path.read_text(errors="replace")
    except OSError as exc:
        raise SettingsError(f"anchor {path}: {exc.strerror}") from exc
    found = [head for line in [text, *_LOGGED.findall(text)] if (head := _parsed(line)) is not None]
    if not found:
        raise SettingsError(f"anchor {path}: holds no head of a journal: neither an anchor file nor the log of a sidecar")
    return found


def _parsed(text: str) -> Head | None:
    try:
        return _head(json.loads(text))
    except (ValueError, KeyError, TypeError):
        return None


def _head(document: Json) -> Head:
    if not isinstance(document, dict) or not isinstance(document["mac"], str) or not isinstance(document["seq"], (int, str)):
        raise ValueError("no head")
    return Head(int(document["seq"]), document["mac"])

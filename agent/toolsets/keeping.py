"""Writing a snapshot file: what was read of a cluster, with everything that may be a secret's value taken out.

Keys of Secrets stay, because checks ask for them; values go, and so does what looks like one anywhere else: in environment
values, ConfigMaps, annotations, events and logs. One object a line, so that a large file can be read line by line.
"""

import gzip
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import IO, Any, cast

import orjson

from agent.domain.objects import ContainerLog, Manifest, Series
from agent.errors import InputError
from agent.ports.cluster import Gap
from agent.signals.masking import mask
from agent.toolsets.redaction import REDACTED, secretless
from agent.toolsets.snapshot import VERSION

_SECRET_NAME = re.compile(
    r"(?i)(pass(word|wd|phrase)?|pwd|secret|token|api[._-]?key|(access|private|auth|account|signing|encryption)[._-]?key"
    r"|credentials?|dsn|connection[._-]?string)s?$"
)


def write(
    path: Path,
    *,
    cluster: str,
    version: str,
    now: datetime,
    objects: Sequence[Manifest],
    logs: Sequence[ContainerLog],
    series: Sequence[Series],
    gaps: Sequence[Gap],
    alerts: Sequence[Mapping[str, object]] = (),
) -> int:
    """Bytes written. `alerts` are as Alertmanager gives them (API v2). Packed when the name ends in .gz; readable by its owner
    only; a file of that name is replaced at once or not at all. Raises InputError when it cannot be written."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as raw:
            if path.suffix == ".gz":
                with gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as packed:
                    _write(cast("IO[bytes]", packed), cluster, version, now, objects, logs, series, gaps, alerts)
            else:
                _write(raw, cluster, version, now, objects, logs, series, gaps, alerts)
        draft.replace(path)
    except OSError as exc:
        draft.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written: {exc.strerror}") from None
    return path.stat().st_size


def _write(
    out: IO[bytes],
    cluster: str,
    version: str,
    now: datetime,
    objects: Sequence[Manifest],
    logs: Sequence[ContainerLog],
    series: Sequence[Series],
    gaps: Sequence[Gap],
    alerts: Sequence[Mapping[str, object]],
) -> None:
    head = {"snapshot": VERSION, "cluster": {"name": cluster, "version": version}, "now": now.strftime("%Y-%m-%dT%H:%M:%SZ")}
    out.write(orjson.dumps(head)[:-1])
    lists: dict[str, Iterator[object]] = {
        "gaps": ({"what": gap.what, "why": gap.why} for gap in gaps),
        "alerts": (_masked(dict(one)) for one in alerts),
        "metrics": ({"metric": dict(one.labels), "values": [[at, str(value)] for at, value in one.samples]} for one in series),
        "logs": ({**asdict(one), "text": mask(one.text)} for one in logs),
        "objects": (scrubbed(one) for one in objects),
    }  # fmt: skip
    for name, entries in lists.items():
        out.write(f',\n"{name}": ['.encode())
        for number, entry in enumerate(entries):
            out.write((b"\n" if number == 0 else b",\n") + orjson.dumps(entry))
        out.write(b"]")
    out.write(b"}\n")


def scrubbed(one: Manifest) -> Manifest:
    """A copy without anything that is, or looks like, the value of a secret."""
    copy: Manifest = _masked(dict(secretless(one)))  # a Secret's values first: what else holds them is known by them
    return copy


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, list):  # a flag and its value may stand apart: --password hunter2
        flags = ["", *value][: len(value)]
        return [
            REDACTED if _is_flag(flag) and _is_secret(flag, one) else _masked(one) for flag, one in zip(flags, value, strict=True)
        ]
    if not isinstance(value, Mapping):
        return value
    if isinstance(value.get("name"), str) and _is_secret(value["name"], value.get("value")):
        return {**value, "value": REDACTED}
    return {key: REDACTED if _is_secret(key, one) else _masked(one) for key, one in value.items()}


def _is_flag(word: Any) -> bool:
    return isinstance(word, str) and word.startswith("-") and "=" not in word


def _is_secret(name: str, value: Any) -> bool:
    """A variable or key that is named as a secret is; a path, an empty value and a reference to another variable are none."""
    return (
        isinstance(value, str)
        and bool(value)
        and not value.startswith(("/", "$(", "-"))
        and _SECRET_NAME.search(name.rpartition("/")[2]) is not None
    )

"""The head of the journal kept outside the database, so that a cut tail shows. Knows nothing of what is recorded."""

import json
import os
from pathlib import Path
from typing import Protocol

from sidecar.audit.chain import Head
from sidecar.errors import JournalUnavailable


class Anchor(Protocol):
    def keep(self, head: Head) -> None:
        """Durable before it returns; raises JournalUnavailable."""
        ...

    def kept(self) -> Head | None:
        """The last head kept, None when there was never one; raises JournalUnavailable when it cannot be read."""
        ...


class AnchorFile:
    """One small JSON file, replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def keep(self, head: Head) -> None:
        draft = self.path.with_suffix(".new")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(json.dumps({"seq": head.seq, "mac": head.mac}))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except OSError as exc:
            raise JournalUnavailable(f"the journal's anchor {self.path} cannot be written: {exc.strerror}") from exc

    def kept(self) -> Head | None:
        try:
            document = json.loads(self.path.read_text())
            return Head(int(document["seq"]), str(document["mac"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise JournalUnavailable(f"the journal's anchor {self.path} cannot be read") from exc

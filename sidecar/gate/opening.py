"""Opens the sidecar's database as its settings say: to work with it, or to read the record. Knows no cluster and no HTTP."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from sidecar.audit import AnchorFile, Journal
from sidecar.errors import JournalUnavailable, SettingsError
from sidecar.gate.ledger import Ledger, engine_for
from sidecar.settings import Settings, secret_from


class WallClock:
    """Implements sidecar.ports.Clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def open_ledger(settings: Settings, make: Callable[..., Ledger] = Ledger) -> Ledger:
    """The database, the journal and its anchor, ready to be written. Raises JournalUnavailable, SettingsError."""
    try:
        settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise SettingsError(f"state folder {settings.state}: {exc.strerror}") from exc
    key = secret_from(settings.audit_key_file, settings.state / "audit.key", what="the journal's key")
    ledger = _ledger(settings, key, make)
    ledger.open()
    return ledger


def open_record(settings: Settings) -> Ledger:
    """The same to be read only: nothing is made. Raises JournalUnavailable, SettingsError."""
    key_file = settings.audit_key_file or settings.state / "audit.key"
    if settings.url_of_database.startswith("sqlite:///") and not Path(settings.url_of_database[10:]).exists():
        raise JournalUnavailable(f"there is no database at {settings.url_of_database}")
    return _ledger(settings, secret_from(key_file, key_file, what="the journal's key"), Ledger)


def _ledger(settings: Settings, key: str, make: Callable[..., Ledger]) -> Ledger:
    return make(
        engine_for(settings.url_of_database),
        journal=Journal(key.encode()),
        anchor=AnchorFile(settings.state / "journal.anchor"),
        clock=WallClock(),
    )

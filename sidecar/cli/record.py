"""The sidecar's record, opened by a command that only reads it. What is logged on the way is not part of what it prints."""

import logging
from pathlib import Path

import structlog

from sidecar.gate.ledger import Ledger
from sidecar.gate.opening import open_record
from sidecar.settings import Settings, load


def record_of(config: Path | None) -> Ledger:
    """Raises JournalUnavailable, SettingsError."""
    return record_by(load(config))


def record_by(settings: Settings) -> Ledger:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))  # stdout is for the answer
    return open_record(settings)

"""The key of sessions, and how long they last."""

import secrets
from datetime import timedelta
from pathlib import Path

from agent.errors import InputError
from identity import SHORTEST_KEY, Seal

_PROGRAM = "lestrade"
SESSION_LASTS = timedelta(hours=8)  # a shift: the agent's pages show and ask, they approve nothing


def seal_of(path: Path | None) -> Seal:
    """Without a file a key of its own, and sessions end with the process. Raises InputError."""
    if path is None:
        return Seal(secrets.token_bytes(SHORTEST_KEY), _PROGRAM)
    try:
        key = path.read_bytes().strip()
    except OSError as exc:
        raise InputError(f"LESTRADE_SESSION_KEY_FILE: {path}: {exc.strerror or exc}") from None
    if len(key) < SHORTEST_KEY:
        raise InputError(f"LESTRADE_SESSION_KEY_FILE: {path} holds less than {SHORTEST_KEY} bytes (openssl rand -hex 32)")
    return Seal(key, _PROGRAM)

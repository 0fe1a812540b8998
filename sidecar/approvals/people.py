"""The people file: who is known, by which token, with which roles. Holds hashes of tokens, never tokens.

    [[person]]
    name = "ada"
    token_sha256 = "…64 hex digits…"
    roles = ["approver"]
    slack_user = "U0123ABCD"   # if they answer in Slack: the member id of their profile

The file is read again when it changes, so that whoever is taken out of it counts no longer at the next look.
"""

import hashlib
import hmac
import secrets
import threading
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from sidecar.contract.refs import Line, Sha256, Slug
from sidecar.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    name: str
    roles: frozenset[str]


class People(Protocol):
    def by_token(self, token: str) -> Person | None:
        """Who presents this token; every entry is compared, each in constant time."""
        ...

    def by_name(self, name: str) -> Person | None: ...

    def by_slack_user(self, slack_user: str) -> Person | None:
        """Whose Slack account this is; None when it is nobody's, or said to be more than one person's."""
        ...


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Line
    token_sha256: Sha256
    roles: tuple[Slug, ...] = ()
    slack_user: Annotated[str, StringConstraints(pattern=r"^$|^[UW][A-Z0-9]{2,20}$")] = ""


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    person: tuple[_Entry, ...] = ()


class PeopleFile:
    """A file that is missing or cannot be read knows nobody: nobody can approve."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._entries: tuple[_Entry, ...] = ()

    def by_token(self, token: str) -> Person | None:
        presented = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
        found: Person | None = None
        for entry in self._read():
            if hmac.compare_digest(entry.token_sha256, presented) and found is None:
                found = self.by_name(entry.name)
        return found

    def by_name(self, name: str) -> Person | None:
        """Two entries of one name are one person with two tokens; the roles are those that both have."""
        roles = [frozenset(entry.roles) for entry in self._read() if entry.name == name]
        return Person(name=name, roles=frozenset.intersection(*roles)) if roles else None

    def by_slack_user(self, slack_user: str) -> Person | None:
        names = {entry.name for entry in self._read() if slack_user and entry.slack_user == slack_user}
        return self.by_name(names.pop()) if len(names) == 1 else None

    def check(self) -> int:
        """How many people are known; raises SettingsError when the file is there but cannot be used."""
        try:
            return len({entry.name for entry in self._load()})
        except FileNotFoundError:
            return 0
        except OSError as exc:
            raise SettingsError(f"the people file {self.path} cannot be read: {exc.strerror}") from exc
        except (ValueError, ValidationError) as exc:
            raise SettingsError(f"the people file {self.path} is not valid: {_first_line(exc)}") from None

    def add(self, name: str, roles: tuple[str, ...]) -> str:
        """Append a person and return the new token, which is kept nowhere; raises SettingsError."""
        token = secrets.token_urlsafe(32)
        try:
            entry = _Entry(name=name, token_sha256=hashlib.sha256(token.encode()).hexdigest(), roles=roles)
        except ValidationError as exc:
            raise SettingsError(f"not a person: {_first_line(exc)}") from None
        if not name.strip() or not name.isprintable():
            raise SettingsError("not a person: the name must be printable")
        self.check()
        if self.by_name(name) is not None:
            raise SettingsError(f"{name} is in {self.path} already: take the entry out first")
        quoted = ", ".join(f'"{role}"' for role in entry.roles)
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        text = f'[[person]]\nname = "{escaped}"\ntoken_sha256 = "{entry.token_sha256}"\nroles = [{quoted}]\n\n'
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self.path.open("a") as file:
                file.write(text)
            self.path.chmod(0o600)
        except OSError as exc:
            raise SettingsError(f"the people file {self.path} cannot be written: {exc.strerror}") from exc
        return token

    def _read(self) -> tuple[_Entry, ...]:
        with self._lock:
            try:
                stat = self.path.stat()
                seen = (stat.st_mtime_ns, stat.st_size)
                if seen != self._seen:
                    self._entries, self._seen = self._load(), seen
            except (OSError, ValueError):
                self._entries, self._seen = (), None
            return self._entries

    def _load(self) -> tuple[_Entry, ...]:
        return _Document.model_validate(tomllib.loads(self.path.read_text())).person


def _first_line(exc: Exception) -> str:
    if isinstance(exc, ValidationError):
        error = exc.errors(include_input=False, include_url=False)[0]
        return f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}"
    return str(exc).splitlines()[0]

"""Who is known by a local token: a file that holds hashes of tokens, never tokens. Knows no HTTP and no identity provider.

    [[person]]
    name = "ada"
    token_sha256 = "…64 hex digits…"

It is a file of the agent's own: a token that is typed into the agent's pages must open nothing at the sidecar, or whoever takes
the agent over could approve with it. Read again when it changes.
"""

import hashlib
import hmac
import secrets
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from agent.errors import InputError
from identity import Roll, hash_of, quoted

LONGEST_NAME = 200  # as a plan's `requested_by`


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """`name` says who asked, in incidents and plans, where it keeps them from approving what they asked for; "" is whoever sits
    at this machine, where nobody has to log in. `called` is for showing only. `mark` changes when their token does."""

    name: str
    called: str = ""
    mark: str = ""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)]
    token_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    person: tuple[_Entry, ...] = ()


class PeopleFile:
    """A file that is missing or cannot be read any more knows nobody."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._roll = Roll(path, _parsed)

    def by_token(self, token: str) -> Person | None:
        """Whose token this is; every entry is compared, each in constant time."""
        presented = hash_of(token)
        found = [entry for entry in self._roll.entries() if hmac.compare_digest(entry.token_sha256, presented)]
        return _person(found[0]) if found else None

    def by_name(self, name: str) -> Person | None:
        return next((_person(entry) for entry in self._roll.entries() if entry.name == name), None)

    def names(self) -> tuple[str, ...]:
        """In the order of the file. Raises InputError when the file is there but cannot be used."""
        try:
            return tuple(entry.name for entry in self._roll.load())
        except FileNotFoundError:
            return ()
        except OSError as exc:
            raise InputError(f"people file {self.path}: {exc.strerror or exc}") from None
        except (ValueError, ValidationError) as exc:
            raise InputError(f"people file {self.path}: {_first_line(exc)}") from None

    def add(self, name: str) -> str:
        """A new person's token, which is kept nowhere. Raises InputError."""
        if not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
            raise InputError(f"a person's name is 1 to {LONGEST_NAME} printable characters")
        if name in self.names():
            raise InputError(f"{name} is in {self.path} already: remove the entry first")
        token = secrets.token_urlsafe(32)
        self._write(self._text() + _toml(name, hash_of(token)))
        return token

    def remove(self, name: str) -> None:
        """Raises InputError when nobody is called so."""
        if name not in self.names():
            raise InputError(f"{name} is not in {self.path}")
        self._write("".join(_toml(entry.name, entry.token_sha256) for entry in self._roll.load() if entry.name != name))

    def _text(self) -> str:
        try:
            return self._roll.text()
        except OSError as exc:
            raise InputError(f"people file {self.path} cannot be read: {exc.strerror or exc}") from None

    def _write(self, text: str) -> None:
        try:
            self._roll.write(text)
        except OSError as exc:
            raise InputError(f"people file {self.path} cannot be written: {exc.strerror or exc}") from None


def _parsed(text: str) -> tuple[_Entry, ...]:
    entries = _Document.model_validate(tomllib.loads(text)).person
    for what, values in (("name", [one.name for one in entries]), ("token", [one.token_sha256 for one in entries])):
        if len(set(values)) != len(values):
            raise ValueError(f"two people have the same {what}")
    return entries


def _person(entry: _Entry) -> Person:
    return Person(name=entry.name, mark=hashlib.sha256(entry.token_sha256.encode()).hexdigest()[:16])


def _toml(name: str, token_sha256: str) -> str:
    return f'[[person]]\nname = {quoted(name)}\ntoken_sha256 = "{token_sha256}"\n\n'


def _first_line(exc: Exception) -> str:
    if isinstance(exc, ValidationError):
        fault = exc.errors(include_input=False, include_url=False)[0]
        return f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
    return str(exc).splitlines()[0]

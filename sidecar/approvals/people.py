"""Who is known: the people file, with roles and every account that is the same person. Holds hashes of tokens, never tokens.

    [[person]]
    name = "ada"
    roles = ["sre"]
    token_sha256 = "…64 hex digits…"      # of a local token; may be left out
    oidc_subject = "248289761001"         # `sub` of the identity provider that the settings name
    email = "ada@example.com"             # counts only where the provider says it is verified
    slack_user = "U012AB3CD"
    aliases = ["ada.lovelace"]            # other names under which she may ask for a plan
    bot = false                           # a bot may look, and never approve

The file is read again when it changes, so that whoever is taken out of it counts no longer at the next look.
"""

import hashlib
import hmac
import re
import secrets
import tomllib
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Protocol

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from identity import Roll, hash_of, quoted
from sidecar.contract.refs import Line, Sha256, Slug
from sidecar.errors import SettingsError

OUTSIDE = "oidc:"  # how the names of people begin whom only the identity provider knows
SlackUser = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{1,32}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """`name` is the identity: whoever has the same is the same person, whatever the account. `also`: other names and
    accounts of theirs. `called`: how they call themselves, for showing only. `mark` changes when their tokens do. `seen_at`:
    when the identity provider last said the roles, None where the people file does."""

    name: str
    roles: frozenset[str]
    also: frozenset[str] = frozenset()
    bot: bool = False
    called: str = ""
    mark: str = ""
    seen_at: datetime | None = None


class People(Protocol):
    def by_token(self, token: str) -> Person | None:
        """Who presents this token; every entry is compared, each in constant time."""
        ...

    def by_name(self, name: str) -> Person | None:
        """Whoever this is now, with the roles held now; None for somebody who is known no longer."""
        ...

    def by_slack(self, user: str) -> Person | None:
        """Whose Slack account this is, by its user id."""
        ...


def known_as(name: str) -> str:
    """Spelling differences do not make another person of somebody: for saying no. What opens a door is compared exactly."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    seen = "".join(character for character in folded if unicodedata.category(character) != "Cf")
    return unicodedata.normalize("NFKC", seen).strip()


def _is_address(one: str, other: str) -> bool:
    """Whether mail to one is mail to the other, as far as everybody agrees: ASCII letters may be large or small."""
    return bool(one.strip()) and (one == other or (one.isascii() and other.isascii() and one.lower() == other.lower()))


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Line
    token_sha256: Sha256 | None = None
    roles: tuple[Slug, ...] = ()
    oidc_subject: Line = ""
    email: Line = ""
    slack_user: SlackUser | None = None
    aliases: tuple[Line, ...] = ()
    bot: bool = False

    @model_validator(mode="after")
    def _can_be_recognised(self) -> "_Entry":
        if not (self.token_sha256 or self.oidc_subject or self.email or self.slack_user):
            raise ValueError("a person needs a token_sha256, an oidc_subject, an email or a slack_user")
        return self

    def accounts(self) -> frozenset[str]:
        """Everything that must lead to one person only."""
        named = {known_as(name) for name in (self.name, self.email, *self.aliases) if name.strip()}
        others = {f"sub {self.oidc_subject}"} if self.oidc_subject else set()
        return frozenset(named | others | ({f"slack {self.slack_user}"} if self.slack_user else set()))


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    person: tuple[_Entry, ...] = ()


class PeopleFile:
    """A file that is missing or cannot be read knows nobody: nobody can approve."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._roll = Roll(path, _parsed)

    def by_token(self, token: str) -> Person | None:
        presented = hash_of(token)
        found: Person | None = None
        for entry in self._roll.entries():
            if hmac.compare_digest(entry.token_sha256 or "", presented) and found is None:
                found = self.by_name(entry.name)
        return found

    def by_name(self, name: str) -> Person | None:
        return _person([entry for entry in self._roll.entries() if entry.name == name])

    def by_slack(self, user: str) -> Person | None:
        return self._first(lambda entry: bool(user) and entry.slack_user == user)

    def by_account(self, *, subject: str, email: str = "") -> Person | None:
        """Whose account at the identity provider this is; `email` only if the provider vouches for it."""
        found = self._first(lambda entry: bool(subject) and entry.oidc_subject == subject)
        if found is None:
            # An entry that names another subject is about another account, whatever its address.
            found = self._first(lambda entry: _is_address(entry.email, email) and not entry.oidc_subject)
        return found

    def has_address(self, email: str) -> bool:
        """This address, or one that looks like it."""
        return bool(known_as(email)) and any(known_as(entry.email) == known_as(email) for entry in self._roll.entries())

    def listed(self) -> tuple[Person, ...]:
        """Everybody, in the order of the file."""
        names = dict.fromkeys(entry.name for entry in self._roll.entries())
        return tuple(person for person in map(self.by_name, names) if person is not None)

    def check(self) -> int:
        """How many people are known; raises SettingsError when the file is there but cannot be used."""
        try:
            return len({entry.name for entry in self._roll.load()})
        except FileNotFoundError:
            return 0
        except OSError as exc:
            raise SettingsError(f"the people file {self.path} cannot be read: {exc.strerror}") from exc
        except (ValueError, ValidationError) as exc:
            raise SettingsError(f"the people file {self.path} is not valid: {_first_line(exc)}") from None

    def add(
        self,
        name: str,
        roles: tuple[str, ...],
        *,
        with_token: bool = True,
        oidc_subject: str = "",
        email: str = "",
        slack_user: str = "",
        aliases: Sequence[str] = (),
        bot: bool = False,
    ) -> str:
        """Append a person and return the new token ("" without one), which is kept nowhere; raises SettingsError."""
        token = secrets.token_urlsafe(32) if with_token else ""
        fields: dict[str, object] = {"name": name, "roles": roles, "bot": bot, "aliases": tuple(aliases)}
        given = {"oidc_subject": oidc_subject, "email": email, "slack_user": slack_user}
        fields |= {key: value for key, value in given.items() if value}
        if token:
            fields["token_sha256"] = hash_of(token)
        for text in (name, *given.values(), *aliases):
            if not text.isprintable():
                raise SettingsError("not a person: every name must be printable")
        if not name.strip():
            raise SettingsError("not a person: the name must be printable")
        self.check()
        if self.by_name(name) is not None:
            raise SettingsError(f"{name} is in {self.path} already: take the entry out first")
        try:
            entry = _Entry.model_validate(fields)
            _check_distinct((*self._roll.entries(), entry))
        except (ValueError, ValidationError) as exc:
            raise SettingsError(f"not a person: {_first_line(exc)}") from None
        self._write(self._text() + _toml(entry))
        return token

    def remove(self, name: str) -> None:
        """Take every entry of this name out; raises SettingsError when there is none."""
        self.check()
        before = self._roll.entries()
        kept = tuple(entry for entry in before if entry.name != name)
        if len(kept) == len(before):
            raise SettingsError(f"{name} is not in {self.path}")
        head, *blocks = re.split(r"(?m)^(?=\[\[person\]\])", self._text())
        if len(blocks) == len(before):  # each block is an entry: what else stands in the file stays
            left = head + "".join(block for block, entry in zip(blocks, before, strict=True) if entry.name != name)
        else:
            left = "".join(_toml(entry) for entry in kept)
        self._write(left)

    def _text(self) -> str:
        try:
            return self._roll.text()
        except OSError as exc:
            raise SettingsError(f"the people file {self.path} cannot be read: {exc.strerror}") from exc

    def _write(self, text: str) -> None:
        try:
            self._roll.write(text)
        except OSError as exc:
            raise SettingsError(f"the people file {self.path} cannot be written: {exc.strerror}") from exc

    def _first(self, fits: "_Fits") -> Person | None:
        names = [entry.name for entry in self._roll.entries() if fits(entry)]
        return self.by_name(names[0]) if names else None


class _Fits(Protocol):
    def __call__(self, entry: _Entry) -> bool: ...


def _parsed(text: str) -> tuple[_Entry, ...]:
    entries = _Document.model_validate(tomllib.loads(text)).person
    _check_distinct(entries)
    return entries


def _check_distinct(entries: Sequence[_Entry]) -> None:
    """An account that leads to two people would let one of them count as the other."""
    owner: dict[str, str] = {}
    for entry in entries:
        if entry.name.startswith(OUTSIDE):
            raise ValueError(f"a name may not begin with {OUTSIDE}")
        for account in entry.accounts():
            if owner.setdefault(account, entry.name) != entry.name:
                raise ValueError(f"{owner[account]} and {entry.name} have an account in common")
    tokens = [(entry.token_sha256, entry.name) for entry in entries if entry.token_sha256]
    if len(dict(tokens)) != len({*tokens}):
        raise ValueError("two people have the same token")


def _person(entries: Sequence[_Entry]) -> Person | None:
    """Two entries of one name are one person with two tokens; the roles are those that both have."""
    if not entries:
        return None
    tokens = "".join(sorted(entry.token_sha256 or "" for entry in entries))
    return Person(
        name=entries[0].name,
        roles=frozenset.intersection(*(frozenset(entry.roles) for entry in entries)),
        also=frozenset(name for entry in entries for name in _names(entry)),
        bot=any(entry.bot for entry in entries),
        mark=hashlib.sha256(tokens.encode()).hexdigest()[:16],
    )


def _names(entry: _Entry) -> Iterator[str]:
    yield from filter(None, (entry.email, entry.oidc_subject, entry.slack_user or "", *entry.aliases))


def _toml(entry: _Entry) -> str:
    lines = ["[[person]]", f"name = {quoted(entry.name)}"]
    if entry.token_sha256:
        lines.append(f"token_sha256 = {quoted(entry.token_sha256)}")
    lines.append(f"roles = [{', '.join(map(quoted, entry.roles))}]")
    accounts = {"oidc_subject": entry.oidc_subject, "email": entry.email, "slack_user": entry.slack_user or ""}
    lines += [f"{key} = {quoted(value)}" for key, value in accounts.items() if value]
    if entry.aliases:
        lines.append(f"aliases = [{', '.join(map(quoted, entry.aliases))}]")
    if entry.bot:
        lines.append("bot = true")
    return "\n".join(lines) + "\n\n"


def _first_line(exc: Exception) -> str:
    if isinstance(exc, ValidationError):
        error = exc.errors(include_input=False, include_url=False)[0]
        said = 'a list is wanted, such as ["sre"]' if error["type"] == "tuple_type" else error["msg"]
        where = ".".join(str(part + 1) if isinstance(part, int) else part for part in error["loc"])
        return f"{where}: {said.removeprefix('Value error, ')}".removeprefix(": ")
    return str(exc).splitlines()[0]

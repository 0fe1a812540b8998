"""Everybody who is known: the people file, and whoever the identity provider vouches for.

Whoever stands in the file has the roles of the file, whatever the provider says. Whoever does not has the roles that their
groups mean, as of the last token that was seen of them, and for a bounded time: then they have to log in again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from identity import Claims, Verifier, is_token
from sidecar.approvals.people import OUTSIDE, PeopleFile, Person


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the identity provider last said of somebody. `at`: when it said so (the token's `iat`)."""

    name: str
    subject: str
    email: str
    called: str
    also: frozenset[str]
    roles: frozenset[str]
    at: datetime


class Memberships(Protocol):
    def keep(self, seen: Seen) -> Seen:
        """Remember the newest; an older token never brings roles back. What holds now. Raises JournalUnavailable."""
        ...

    def of(self, name: str) -> Seen | None: ...

    def now(self) -> datetime: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """The identity provider as a source of people. `roles`: what membership in a group means."""

    verifier: Verifier
    roles: Mapping[str, frozenset[str]]
    memberships: Memberships
    longest: timedelta


class Directory:
    """Implements People."""

    def __init__(self, file: PeopleFile, outside: Outside | None = None) -> None:
        self.file = file
        self.outside = outside

    def by_token(self, token: str) -> Person | None:
        """Raises IdentityUnavailable when a token of the identity provider cannot be checked, JournalUnavailable."""
        known = self.file.by_token(token)
        if known is not None or self.outside is None or not is_token(token):
            return known
        claims = self.outside.verifier.verify(token)
        return self.by_claims(claims) if claims is not None else None

    def by_claims(self, claims: Claims) -> Person | None:
        """Who a verified token speaks of."""
        if self.outside is None:
            return None
        listed = self.file.by_account(subject=claims.subject, email=claims.email)
        if listed is not None or self.file.has_address(claims.email):
            return listed  # a second account with the address of somebody listed is nobody: it may be the same person
        roles = frozenset(role for group in claims.groups for role in self.outside.roles.get(group, ()))
        seen = Seen(
            name=f"{OUTSIDE}{self.outside.verifier.provider.issuer}#{claims.subject}",
            subject=claims.subject,
            email=claims.email,
            called=claims.called,
            also=frozenset({claims.subject, *claims.names}),
            roles=roles,
            at=claims.issued_at,
        )
        return self._person(self.outside.memberships.keep(seen), self.outside)

    def by_name(self, name: str) -> Person | None:
        if not name.startswith(OUTSIDE):
            return self.file.by_name(name)
        outside = self.outside
        if outside is None or not name.startswith(f"{OUTSIDE}{outside.verifier.provider.issuer}#"):
            return None
        seen = outside.memberships.of(name)
        if seen is None:
            return None
        listed = self.file.by_account(subject=seen.subject, email=seen.email)
        if listed is not None or self.file.has_address(seen.email):
            return listed  # in the file by now: the same person under both names
        return self._person(seen, outside)

    def by_slack(self, user: str) -> Person | None:
        return self.file.by_slack(user)

    def _person(self, seen: Seen, outside: Outside) -> Person | None:
        if outside.memberships.now() - seen.at > outside.longest or not seen.roles:
            return None  # whom no group gives a role is nobody here: not even the record is for everybody
        return Person(name=seen.name, roles=seen.roles, also=seen.also, called=seen.called, seen_at=seen.at)

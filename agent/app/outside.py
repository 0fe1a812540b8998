"""Whoever the identity provider vouches for, as the agent's pages know them. Asked in a few threads of its own, so that a
provider that is silent holds up nobody but those whom it is asked about."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from agent.app.people import LONGEST_NAME, Person
from identity import Claims, Client, LogIn, Seal, Verifier

AT_ONCE = 4  # questions to the provider
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """`groups`: whoever is in none of them is nobody here; empty: everybody whom the provider vouches for."""

    verifier: Verifier
    client: Client
    groups: frozenset[str] = frozenset()
    _turns: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(AT_ONCE), repr=False)

    @property
    def issuer(self) -> str:
        return self.verifier.provider.issuer

    async def by_token(self, token: str) -> Person | None:
        """None for what is no valid token of somebody who may come in. Raises IdentityUnavailable."""
        return self._person(await self._asked(lambda: self.verifier.verify(token)))

    async def departure(self, seal: Seal, *, back: str, goes_to: str, now: datetime) -> tuple[str, str]:
        """As LogIn.departure. Raises IdentityUnavailable."""
        return await self._asked(lambda: self._log_in(seal).departure(back=back, goes_to=goes_to, now=now))

    async def arrival(
        self, seal: Seal, *, cookie: str, state: str, code: str, back: str, now: datetime
    ) -> tuple[Person, str] | None:
        """Who came back from the provider, and where they were going. Raises IdentityUnavailable."""
        log_in = self._log_in(seal)
        came = await self._asked(lambda: log_in.arrival(cookie=cookie, state=state, code=code, back=back, now=now))
        person = self._person(came.claims) if came is not None else None
        return (person, came.goes_to) if came is not None and person is not None else None

    def close(self) -> None:
        self.verifier.provider.close()

    def _log_in(self, seal: Seal) -> LogIn:
        return LogIn(seal=seal, client=self.client, verifier=self.verifier)

    def _person(self, claims: Claims | None) -> Person | None:
        if claims is None or len(claims.subject) > LONGEST_NAME or (self.groups and not self.groups & claims.groups):
            return None
        # The address where the provider vouches for it: people files know it, and it says more in a report than a number.
        return Person(name=claims.email if claims.email.isprintable() and claims.email else claims.subject, called=claims.called)

    async def _asked(self, ask: Callable[[], Answer]) -> Answer:
        return await to_thread.run_sync(ask, limiter=self._turns)

"""The Kubernetes API as the sidecar uses it: whole requests, built by us, never from raw text of a plan."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from sidecar.contract import Json
from sidecar.ports.silences import Alerts


@dataclass(frozen=True, slots=True)
class Credential:
    """A bearer token on loan. Its repr hides it; it is never stored, logged or sent anywhere but to the API server."""

    identity: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """One request. `path` is already escaped segment by segment; `body` is JSON; `content_type` chooses the patch type."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: Json = None
    content_type: str = "application/json"
    accept: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiAnswer:
    """What the API server answered, refusals included. `date` is its own clock (Date header), None if it sent none.

    `headers`: lower-case names, only those that a reader may see (content-type, date, warning, audit-id, retry-after).
    `drawn`: what readers worked out from this body and nothing else; it lives as long as the body, and is never older.
    """

    status: int
    body: Json
    date: datetime | None = None
    headers: tuple[tuple[str, str], ...] = ()
    drawn: dict[str, object] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiStream:
    """An answer whose body is handed on as it comes: `answer.body` is None, headers are in it. The pieces raise
    ClusterUnavailable where they break off; `close` gives the connection back, by whoever reads them."""

    answer: ApiAnswer
    pieces: Iterator[bytes]
    cut: Callable[[], None] = lambda: None  # from any thread: whoever waits for the next piece waits no longer
    close: Callable[[], None] = lambda: None


class Cluster(Protocol):
    """Raises ClusterUnavailable when there is no answer, or none that can be read; any HTTP status is a value."""

    @property
    def name(self) -> str: ...

    def send(self, call: ApiCall, credential: Credential | None = None) -> ApiAnswer:
        """As the sidecar itself, or with a lease's credential and nothing else."""
        ...

    def stream(self, call: ApiCall, *, silence: float) -> ApiStream:
        """A GET for the read gateway. `silence`: seconds without a byte after which it is given up."""
        ...


class Looking(Cluster, Alerts, Protocol):
    """A cluster and its alerts, looked at by one reader, who asks for each thing once. `by_now`: what time it is by the API
    server's clock, as far as its answers said."""

    @property
    def by_now(self) -> datetime | None: ...

    def ahead(self, calls: Iterable[ApiCall]) -> None:
        """Asks all these GETs at once, as far as their answers are not at hand; `send` has them then, or raises then."""
        ...

"""A read of the cluster on behalf of a run: what may not be read is refused, and the refusal is on record."""

import time
from threading import Lock

from sidecar.contract import Json, Problem
from sidecar.execution import escaped
from sidecar.gate.desk import Desk, problem
from sidecar.reading import Forbidden, Gateway, Reading

RECORDED_A_MINUTE = 30  # a flood of refused reads fills no journal: those beyond are counted, in the metrics and in the next


class Refusals:
    """How many refusals may still be put on record within this minute."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._since, self._seen, self._left_out = 0.0, 0, 0

    def next(self) -> int | None:
        """How many were left out before this one; None when this one is."""
        with self._lock:
            now = time.monotonic()
            if now - self._since >= 60:
                self._since, self._seen = now, 0
            self._seen += 1
            if self._seen > RECORDED_A_MINUTE:
                self._left_out += 1
                return None
            left_out, self._left_out = self._left_out, 0
            return left_out


def read(
    path: str,
    query: list[tuple[str, str]],
    accept: str,
    *,
    run: str,
    gateway: Gateway,
    refusals: Refusals,
    desk: Desk,
    actor: str = "agent",
) -> Reading | Problem:
    """`path` as it came over the wire, below the cluster. Raises ClusterUnavailable, JournalUnavailable."""
    reading = gateway.open(path, query, accept, run=run)
    if not isinstance(reading, Forbidden):
        return reading
    left_out = refusals.next()
    if left_out is not None:
        body: dict[str, Json] = {"code": reading.code, "run": run, "path": escaped(path)[:300], "left_out": left_out}
        with desk.ledger.write() as transaction:
            transaction.record("read-refused", actor=actor, body=body)
    return problem(reading.status, reading.code, reading.detail)


__all__ = ["Refusals", "read"]

"""Takes away the objects of leases, and nothing that merely bears the name of one. Safe to repeat. Knows no plan."""

import threading

import structlog

from sidecar.contract import Json
from sidecar.credentials.manifests import LABEL_LEASE, LABEL_MANAGED_BY, MANAGED_BY, Piece, account_name
from sidecar.errors import ClusterUnavailable
from sidecar.ports import ApiAnswer, Clock, Cluster

log = structlog.get_logger("sidecar.leases")
_TRIES = 3


class Removal:
    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock
        self._uids: dict[str, str] = {}  # of what was made, by place
        self._lock = threading.Lock()

    def seen(self, piece: Piece, answer: ApiAnswer) -> None:
        """What the API server says of a piece that was just made: its end need not look first."""
        if uid := _uid(answer):
            with self._lock:
                self._uids[str(piece)] = uid

    def remove(self, piece: Piece) -> str:
        """Delete that very object, and look whether it is gone; the name of what may still be there, "" when it is gone."""
        uid = piece.uid or self._uids.get(str(piece), "")
        for attempt in range(_TRIES):
            if attempt:
                self._clock.sleep(0.05 * attempt)
            try:
                if self._once(piece, uid):
                    with self._lock:
                        self._uids.pop(str(piece), None)
                    return ""
            except ClusterUnavailable:
                continue
            uid = ""
        return str(piece)

    def _once(self, piece: Piece, uid: str) -> bool:
        """Whether it is gone. Raises ClusterUnavailable."""
        if not uid:
            found = self._cluster.send(piece.read)
            if _is_gone(found, piece):
                return True
            uid = _uid(found)
        if uid and self._cluster.send(piece.delete(uid)).status == 404:
            return True
        return _is_gone(self._cluster.send(piece.read), piece)


def is_of_lease(item: Json, piece: Piece) -> bool:
    """By the labels that only the sidecar puts there: a name alone says nothing."""
    metadata = item.get("metadata") if isinstance(item, dict) else None
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    if not isinstance(labels, dict):
        return False
    return labels.get(LABEL_MANAGED_BY) == MANAGED_BY and account_name(str(labels.get(LABEL_LEASE))) == piece.name


def _is_gone(answer: ApiAnswer, piece: Piece) -> bool:
    """Whether there is nothing of the lease at that place (any more). An answer that cannot be read says nothing."""
    if answer.status == 200 and not _uid(answer):
        return False
    if answer.status != 200 or is_of_lease(answer.body, piece):
        return answer.status == 404
    log.warning("left alone: it bears the name of a lease's object, and somebody else made it", what=str(piece))
    return True


def _uid(answer: ApiAnswer) -> str:
    metadata = answer.body.get("metadata") if isinstance(answer.body, dict) and answer.status in (200, 201) else None
    return str(metadata.get("uid") or "") if isinstance(metadata, dict) else ""

"""Holds leases to their plans by the API server's own admission: looks whether that is in place, publishes what a lease may
write, sees that it is enforced, and withdraws it. Knows no plan.

All leases share one object; it is changed by compare-and-set on its version, so that no sidecar undoes another's change.
"""

import random
import time
from collections.abc import Sequence

from sidecar.contract import Json, Lease
from sidecar.credentials.admission import (
    ENFORCED,
    MOST_BYTES,
    MOST_BYTES_OF_A_LEASE,
    NAME,
    POLICY,
    UNKNOWN,
    WRITES,
    Write,
    difference,
    entry,
    leases_in,
    replaced,
    shipped,
    size_of,
)
from sidecar.credentials.refusals import Refused, decided, message_of
from sidecar.credentials.together import at_once, looking
from sidecar.errors import ClusterUnavailable
from sidecar.ports import ApiCall, Clock, Cluster, Credential, object_path

TRIES = 12
SEEN_WITHIN = 3.0  # seconds until a published entry is enforced: 4 to 7 ms were measured, a new binding took up to 0.4 s
LOOK_AGAIN_AFTER = 1.0  # seconds: each claim looks, and its mint need not look again
INSTALL = "kubectl apply -f deploy/admission/"


class PlanBound:
    def __init__(self, cluster: Cluster, *, namespace: str, clock: Clock) -> None:
        """`namespace`: of the leases' accounts. Raises SettingsError when the manifests are not there."""
        self._cluster = cluster
        self._clock = clock
        self._shipped = shipped(namespace)
        self._seen_at = float("-inf")

    def missing(self) -> str:
        """What is not in place or not as shipped, one line; "" when leases are held to their plans. Raises ClusterUnavailable.

        Always looks. An API server goes on enforcing a policy up to a second after its binding went: who remembered, and then
        tried a write, would be told twice that all is well.
        """
        paths = [*self._shipped, object_path(WRITES, "", NAME)]
        *there, writes = at_once(lambda path: self._cluster.send(ApiCall(method="GET", path=path)), paths, looking)
        for manifest, found_there in zip(self._shipped.values(), there, strict=True):
            name = f"{manifest['kind']} {manifest['metadata']['name']}"
            answer = decided(found_there)
            if answer.status != 200:
                return f"{name} cannot be read: {answer.status} {message_of(answer)}"
            found = difference(answer.body, manifest)
            if found:
                return f"{name} is not as shipped: {found}"
        answer = decided(writes)
        if answer.status != 200:
            return f"LeasedWrites {NAME} cannot be read: {answer.status} {message_of(answer)}"
        self._seen_at = time.monotonic()
        return ""

    def forget(self) -> None:
        """Look again the next time."""
        self._seen_at = float("-inf")

    def publish(self, lease: Lease, writes: Sequence[Write]) -> Refused | None:
        """Before the lease gets any right. None when it is done. Raises ClusterUnavailable."""
        seen = time.monotonic() - self._seen_at < LOOK_AGAIN_AFTER
        missing = "" if seen else self.missing()
        if missing:
            return Refused(status=409, detail=missing, code="admission-not-in-place")
        document = entry(lease.id, lease.plan, lease.expires_at, writes)
        size = size_of(document)
        if size > MOST_BYTES_OF_A_LEASE:
            detail = f"the writes of this plan take {size} bytes, {MOST_BYTES_OF_A_LEASE} at most can be published"
            return Refused(status=413, detail=detail, code="too-large-to-publish")
        return self._changed(lease.identity, document)

    def withdraw(self, identity: str) -> str:
        """Never raises; the name of what may still be there, "" when it is gone. Safe to repeat."""
        try:
            refused = self._changed(identity, None)
        except ClusterUnavailable:
            refused = Refused(status=503, detail="no answer")
        return "" if refused is None else f"{WRITES.plural} {NAME} of {identity}"

    def _changed(self, identity: str, document: Json) -> Refused | None:
        for attempt in range(TRIES):
            if attempt:
                self._clock.sleep(random.uniform(0.005, 0.02) * attempt)  # noqa: S311  spreads tries, keeps no secret
            holder = decided(self._cluster.send(ApiCall(method="GET", path=object_path(WRITES, "", NAME))))
            if document is None and (holder.status == 404 or (holder.status == 200 and identity not in leases_in(holder.body))):
                return None
            if holder.status != 200:
                return Refused(status=holder.status, detail=message_of(holder), code="admission-not-in-place")
            if document is not None and size_of(holder.body) + size_of(document) > MOST_BYTES:
                return Refused(status=413, detail="the writes of all leases take too much room", code="too-large-to-publish")
            answer = self._cluster.send(replaced(holder.body, identity, document))
            if answer.status == 200:
                return None
            if answer.status not in (409, 422, 429, 500, 503, 504):  # 422: the test of the version failed
                break
        answer = decided(answer)
        return Refused(status=answer.status, detail=message_of(answer), code="admission-not-in-place")

    def enforced(self, credential: Credential, writes: Sequence[Write]) -> Refused | None:
        """Try a write of the plan with the lease's own token, as a dry run: the API server has to refuse it, in words that
        show that it knows what this lease may write. Raises ClusterUnavailable."""
        probe = next((write.probe for write in sorted(writes, key=_suitability)), None)
        if probe is None:
            return None  # the plan writes nothing
        deadline, pause = time.monotonic() + SEEN_WITHIN, 0.005
        while True:
            answer = self._cluster.send(probe, credential)
            said = message_of(answer, 2000)  # a name may be long
            if answer.status == 403 and ENFORCED in said:
                return None
            if time.monotonic() >= deadline:
                self.forget()
                decided(answer)
                why = (
                    "it lets a dry run pass" if answer.status < 300 else "it does not see the writes" if UNKNOWN in said else said
                )
                return Refused(
                    status=409, detail=f"the API server does not hold this lease to its plan: {why}", code="not-enforced"
                )
            self._clock.sleep(pause)
            pause = min(pause * 1.5, 0.1)

    def published(self) -> list[tuple[str, str, int]]:
        """User name, lease and expiry (seconds since the epoch) of every entry. Raises ClusterUnavailable."""
        answer = self._cluster.send(ApiCall(method="GET", path=object_path(WRITES, "", NAME)))
        if answer.status == 404:
            return []
        if answer.status != 200:
            raise ClusterUnavailable(f"cannot read {WRITES.plural} {NAME}: {answer.status} {message_of(answer)}")
        found: list[tuple[str, str, int]] = []
        for identity, document in leases_in(answer.body).items():
            lease = document.get("lease") if isinstance(document, dict) else None
            expires = document.get("expires") if isinstance(document, dict) else None
            found.append((identity, str(lease or ""), expires if isinstance(expires, int) else 0))
        return found


def by_admission(message: str) -> bool:
    """Whether a refusal is an admission policy's and not RBAC's: it proves nothing about rights."""
    return POLICY in message


def _suitability(write: Write) -> int:
    """What is there can be tried now; what the plan makes may be tried as a whole; what is made later cannot be deleted."""
    if write.uid:
        return 0
    return 1 if write.operation == "CREATE" else 2

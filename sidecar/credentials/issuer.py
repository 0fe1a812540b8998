"""Makes a lease real in the cluster, and takes it back: ServiceAccount, Role, RoleBinding, token.

Everything is safe to repeat: names are fixed by the lease, what exists already is kept, what is gone is gone. The tokens
live in the memory of this object only. The journal is the caller's duty, before and after. Knows no plan.
"""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import structlog

from sidecar.contract import Json, Lease
from sidecar.credentials.admission import WRITES, Write
from sidecar.credentials.likeness import unlike
from sidecar.credentials.manifests import (
    BINDINGS,
    CLUSTER_BINDINGS,
    CLUSTER_ROLES,
    LABEL_EXPIRES,
    LABEL_LEASE,
    ROLES,
    SELECTOR,
    SERVICE_ACCOUNTS,
    TOKEN_SECONDS,
    Piece,
    account_name,
    identity_of,
    pieces,
    probes,
    revocation_order,
    token_request,
)
from sidecar.credentials.planbound import PlanBound, by_admission
from sidecar.credentials.refusals import Refused, decided, message_of
from sidecar.credentials.removal import Removal, is_of_lease
from sidecar.credentials.together import at_once, making, taking_back
from sidecar.errors import ClusterUnavailable
from sidecar.ports import ApiCall, Clock, Cluster, Credential, Resource, collection_path

__all__ = ["Issuer", "Minted", "Proof", "Refused", "message_of"]
log = structlog.get_logger("sidecar.leases")
REFRESH_AFTER = TOKEN_SECONDS - 120
_BINDINGS = (BINDINGS, CLUSTER_BINDINGS)
PROBE_SECONDS = 15.0  # a token that was used just before its account went is served from a cache for 10 s


@dataclass(frozen=True, slots=True, kw_only=True)
class Minted:
    """The lease can act now."""

    credential: Credential


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What taking back came to. `pending` names what could not be seen to be gone; empty means that all is."""

    refused_after_ms: float | None
    refusal: Literal["401", "403", ""]
    pending: tuple[str, ...]


@dataclass(slots=True)
class _Held:
    credential: Credential
    since: float = field(default_factory=time.monotonic)


class Issuer:
    def __init__(self, cluster: Cluster, *, namespace: str, clock: Clock, plan_bound: PlanBound | None = None) -> None:
        """With `plan_bound`, leases are held to their plans by the API server's own admission."""
        self.plan_bound = plan_bound
        self._cluster = cluster
        self._clock = clock
        self._tokens: dict[str, _Held] = {}
        self._removal = Removal(cluster, clock)
        self._lock = threading.Lock()
        self.namespace = namespace

    def identity(self, lease: str) -> str:
        """The user name under which the API server knows the lease."""
        return identity_of(lease, self.namespace)

    def mint(self, lease: Lease, *, incident: str, writes: Sequence[Write] = ()) -> Minted | Refused:
        """Make what is missing of the lease, and get a token; `writes` is what its plan holds, published before any right is
        given, and tried before anybody can use it. Raises ClusterUnavailable: then try again later."""
        if self.plan_bound is not None:
            refused = self.plan_bound.publish(lease, writes)
            if refused is not None:
                return refused
        made = pieces(lease, incident, self.namespace)
        bindings = [piece for piece in made if piece.resource in _BINDINGS]
        account, *roles = (piece for piece in made if piece.resource not in _BINDINGS)
        # Account and roles give no right by themselves; a binding wants all of them there, and a token the account alone.
        begun = [making.submit(self._make, lease, role) for role in roles]
        token: list[Future[Minted | Refused]] = []
        try:
            refused = self._make(lease, account)
            if refused is None:
                token.append(making.submit(self._granted, lease.id))
            others = [task.result() for task in begun]
            refused = refused or next((no for no in others if no is not None), None) or self._made(lease, bindings)
        finally:
            wait(begun)
            wait(token)
        if refused is not None:
            return refused
        minted = self._kept(lease.id, token[0].result())  # of a lease that is half made, none is kept
        if self.plan_bound is None or isinstance(minted, Refused):
            return minted
        return self.plan_bound.enforced(minted.credential, writes) or minted

    def _made(self, lease: Lease, wanted: Sequence[Piece]) -> Refused | None:
        """Make them at once. The first refusal; raises ClusterUnavailable."""
        return next((refused for refused in at_once(partial(self._make, lease), wanted, making) if refused is not None), None)

    def _make(self, lease: Lease, piece: Piece) -> Refused | None:
        """Make it, or keep what is there of this lease. Raises ClusterUnavailable."""
        answer = decided(self._cluster.send(piece.create))
        if answer.status == 409:
            answer = decided(self._cluster.send(piece.read))
            if answer.status == 200 and not is_of_lease(answer.body, piece):
                return Refused(
                    status=409, detail=f"{piece.resource.plural} {piece.name} is somebody else's", code="foreign-object"
                )
        if answer.status not in (200, 201):
            return Refused(status=answer.status, detail=message_of(answer))
        self._removal.seen(piece, answer)
        if parts := unlike(answer.body, piece):  # made before us under our labels, or changed on its way in by a webhook
            detail = f"{piece.resource.plural} {piece.name} does not say what this lease says ({parts}): somebody else made it so"
            return Refused(status=409, detail=detail, code="foreign-object")
        return None

    def credential(self, lease: str) -> Minted | Refused:
        """The lease's token, a fresh one when it is old or this process was started since. Raises ClusterUnavailable."""
        held = self._tokens.get(lease)
        if held is not None and time.monotonic() - held.since < REFRESH_AFTER:
            return Minted(credential=held.credential)
        return self._token(lease)

    def forget(self, lease: str) -> None:
        """The token is no longer taken: get another one the next time."""
        with self._lock:
            self._tokens.pop(lease, None)

    def _token(self, lease: str) -> Minted | Refused:
        return self._kept(lease, self._granted(lease))

    def _granted(self, lease: str) -> Minted | Refused:
        answer = decided(self._cluster.send(token_request(lease, self.namespace)))
        body = answer.body if isinstance(answer.body, dict) else {}
        status = body.get("status")
        token = status.get("token") if isinstance(status, dict) else None
        if answer.status not in (200, 201) or not isinstance(token, str) or not token:
            return Refused(status=answer.status, detail=message_of(answer))
        return Minted(credential=Credential(identity=identity_of(lease, self.namespace), token=token))

    def _kept(self, lease: str, granted: Minted | Refused) -> Minted | Refused:
        if isinstance(granted, Minted):
            with self._lock:
                self._tokens[lease] = _Held(granted.credential)
        return granted

    def revoke(self, lease: Lease, *, incident: str, prove: bool) -> Proof:
        """Take everything back, and probe with the old token until it is refused. Never raises; safe to repeat.

        `prove` is false for a lease that was never live: it had no token that could be tried.
        """
        credential = self._last_credential(lease.id) if prove else None
        pending: list[str] = []
        refusal: Literal["401", "403", ""] = ""
        refused_after: float | None = None
        began = time.monotonic()
        if self.plan_bound is not None and (left := self.plan_bound.withdraw(lease.identity)):
            pending.append(left)
        order = revocation_order(pieces(lease, incident, self.namespace))
        bound = self._removed([piece for piece in order if piece.resource in _BINDINGS])
        pending += bound
        if credential is not None and lease.rights and not bound:  # with a binding in place it would only pass
            refused_after, refusal = self._probe(credential, lease, began)
            if not refusal:
                pending.append("the old token is not seen to be refused")
        pending += self._removed([piece for piece in order if piece.resource in (ROLES, CLUSTER_ROLES)])
        pending += self._removed([piece for piece in order if piece.resource is SERVICE_ACCOUNTS])
        if not pending:
            with self._lock:
                self._tokens.pop(lease.id, None)
        return Proof(refused_after_ms=refused_after, refusal=refusal, pending=tuple(pending))

    def cut_off(self, lease: Lease, *, incident: str) -> list[str]:
        """Its rights go at once, whoever is at work under it and for how long: what a mint or a write that is under way leaves,
        and the proof, are for `revoke`. Never raises; the names of what may still be there."""
        left = self.plan_bound.withdraw(lease.identity) if self.plan_bound is not None else ""
        bound = self._removed([piece for piece in pieces(lease, incident, self.namespace) if piece.resource in _BINDINGS])
        return [*([left] if left else []), *bound]

    def _last_credential(self, lease: str) -> Credential | None:
        """A token that surely works until the binding goes: a refusal of one that has expired would prove nothing. It is of
        the same account; the one in memory is taken where the API server gives no other."""
        held = self._tokens.get(lease)
        try:
            fresh = self._token(lease)
        except ClusterUnavailable:
            return held.credential if held is not None else None
        if isinstance(fresh, Minted):
            return fresh.credential
        return held.credential if held is not None else None

    def _removed(self, unwanted: Sequence[Piece]) -> list[str]:
        """Remove them at once; the names of those that may still be there."""
        return [name for name in at_once(self._removal.remove, unwanted, taking_back) if name]

    def _probe(self, credential: Credential, lease: Lease, began: float) -> tuple[float | None, Literal["401", "403", ""]]:
        refusal: Literal["401", "403", ""] = ""
        for call in probes(lease.rights):
            found = self._refused(call, credential)
            if not found:
                return None, ""
            refusal = refusal or found
        return round((time.monotonic() - began) * 1000, 3), refusal

    def _refused(self, call: ApiCall, credential: Credential) -> Literal["401", "403", ""]:
        deadline = time.monotonic() + PROBE_SECONDS
        while True:
            try:
                answer = self._cluster.send(call, credential)
            except ClusterUnavailable:
                return ""
            if answer.status == 401:
                return "401"
            if answer.status == 403 and not by_admission(message_of(answer, 2000)):
                return "403"
            if time.monotonic() >= deadline:
                return ""
            self._clock.sleep(0.005)

    def unbind_all(self) -> list[str]:
        """Every binding and account of this sidecar's leases goes, by what the cluster itself shows: for when no store can say
        which leases there are. The names of those that may still be there. Raises ClusterUnavailable."""
        found = self.labelled()
        mine = {lease for lease, _, piece in found if piece.resource is SERVICE_ACCOUNTS}
        bindings = self._removed([piece for lease, _, piece in found if lease in mine and piece.resource in _BINDINGS])
        return bindings + self._removed([piece for _, _, piece in found if piece.resource is SERVICE_ACCOUNTS])

    def labelled(self) -> list[tuple[str, int, Piece]]:
        """Every object in the cluster that carries a lease's label and can be seen: the lease, when it expires (seconds since
        the epoch), and the object. A sidecar whose rights end at some namespaces sees its accounts at least. Raises
        ClusterUnavailable."""
        found: list[tuple[str, int, Piece]] = []
        for resource in (BINDINGS, CLUSTER_BINDINGS, ROLES, CLUSTER_ROLES, SERVICE_ACCOUNTS):
            path = collection_path(resource, self.namespace if resource is SERVICE_ACCOUNTS else "")
            answer = self._cluster.send(ApiCall(method="GET", path=path, query=(("labelSelector", SELECTOR),)))
            if answer.status == 403 and resource is not SERVICE_ACCOUNTS:
                log.warning("leftovers of leases cannot be seen", what=resource.plural, reason=message_of(answer))
                continue
            items = answer.body.get("items") if isinstance(answer.body, dict) else None
            if answer.status != 200 or not isinstance(items, list):
                raise ClusterUnavailable(f"cannot list {resource.plural}: {answer.status} {message_of(answer)}")
            found += [one for item in items if (one := _leased(item, resource)) is not None]
        return found + self._published()

    def _published(self) -> list[tuple[str, int, Piece]]:
        """Entries in the object of the writes; none where it cannot be read: that keeps nothing else from being swept."""
        try:
            entries = self.plan_bound.published() if self.plan_bound is not None else []
        except ClusterUnavailable:
            return []
        mine = [(lease, expires, identity) for identity, lease, expires in entries if identity == self.identity(lease)]
        return [(lease, at, Piece(resource=WRITES, namespace="", name=identity, manifest={})) for lease, at, identity in mine]

    def sweep(self, piece: Piece) -> bool:
        """Remove one leftover; whether it is gone."""
        if piece.resource is WRITES:
            return self.plan_bound is not None and not self.plan_bound.withdraw(piece.name)
        return not self._removal.remove(piece)


def _leased(item: Json, resource: Resource) -> tuple[str, int, Piece] | None:
    """Of a lease, when it expires, and the object; None for what is not ours to delete, whatever its labels say."""
    metadata = item.get("metadata") if isinstance(item, dict) else None
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(labels, dict):
        return None
    namespace, name = str(metadata.get("namespace") or ""), str(metadata.get("name"))
    lease, expires = str(labels.get(LABEL_LEASE)), str(labels.get(LABEL_EXPIRES))
    if name != account_name(lease) or not expires.isdecimal():
        return None
    uid = str(metadata.get("uid") or "")
    return lease, int(expires), Piece(resource=resource, namespace=namespace, name=name, manifest={}, uid=uid)

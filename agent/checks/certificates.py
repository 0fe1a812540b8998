"""cert-manager: the chain Certificate -> CertificateRequest -> Order -> Challenge, and the issuer behind it.

The deepest link that says something is the cause; the links above it, the Secret and who uses it suffer from it.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from agent.checks.config import near
from agent.checks.custom import complaint
from agent.checks.registry import check, earliest, quote_condition, quote_event, quote_field
from agent.domain.finding import Finding
from agent.domain.objects import Manifest, Ref
from agent.topology import Topology
from agent.topology.extensions import group_of, issuer_of
from agent.topology.fields import condition, created_at, items, name_of, ref_of, text, time_at

_ISSUERS = ("Issuer", "ClusterIssuer")
_ENDED = ("invalid", "expired", "errored")
PATIENCE = timedelta(minutes=5)  # a DNS-01 challenge takes minutes when all is well
OVERDUE = timedelta(hours=6)  # renewals are tried again every hour at most


def _certificates(topology: Topology) -> list[Manifest]:
    return [one for one in topology.of_kind("Certificate") if group_of(one) == "cert-manager.io"]


def _unfinished(topology: Topology, certificate: Manifest) -> bool:
    """Not ready for minutes, or tried again and failed while the old one still holds."""
    made = created_at(certificate)
    if made is not None and topology.now - made < PATIENCE:
        return False
    issuing = condition(certificate, "Issuing")
    begun = time_at(issuing, "lastTransitionTime")
    slow = text(issuing, "status") == "True" and begun is not None and topology.now - begun > 3 * PATIENCE
    renewing = slow or text(issuing, "reason") == "Failed"
    return complaint(certificate, topology.now, ("Ready",)) is not None or renewing or _is_over(topology, certificate)


def _is_over(topology: Topology, certificate: Manifest) -> bool:
    until = time_at(certificate, "status", "notAfter")
    return until is not None and until <= topology.now


def _below(topology: Topology, ref: Ref, kind: str) -> Manifest | None:
    """The newest object of that kind that this one has made."""
    made = {edge.target for edge in topology.edges.get(ref, ()) if edge.relation == "owns" and edge.target.kind == kind}
    found = [topology.objects[one] for one in sorted(made) if one in topology.objects]
    return max(found, key=lambda one: (str(created_at(one)), name_of(one)), default=None)


def _suffer(topology: Topology, certificate: Manifest) -> tuple[Ref, ...]:
    """The Certificate, its Secret, and who uses the Secret."""
    secret = Ref("Secret", ref_of(certificate).namespace, text(certificate, "spec", "secretName"))
    users = [source for source, edges in topology.edges.items() if any(edge.target == secret for edge in edges)]
    return (ref_of(certificate), secret, *sorted(users))


def _since(certificate: Manifest, own: datetime | None) -> datetime | None:
    """Every try makes a new chain; the trouble is as old as the Certificate's own condition. None for one that was never
    issued: its Secret was missing before anybody asked for it."""
    if time_at(certificate, "status", "notAfter") is None:
        return None
    said = condition(certificate, "Ready")
    return earliest(own, time_at(said, "lastTransitionTime") if text(said, "status") == "False" else None)


@check("issuer-missing", weight=0.98)
@check("issuer-not-ready", weight=0.98)
def issuer_cannot(topology: Topology) -> Iterator[Finding]:
    """The Issuer or ClusterIssuer that unfinished certificates name does not exist, or says that it is not ready."""
    waiting: dict[Ref, list[Manifest]] = {}
    for certificate in _certificates(topology):
        issuer = issuer_of(certificate)
        if issuer is not None and _unfinished(topology, certificate):
            waiting.setdefault(issuer, []).append(certificate)
    for issuer, certificates in sorted(waiting.items()):
        found = topology.objects.get(issuer)
        if found is None and _is_absent(topology, issuer, certificates):
            yield _no_issuer(topology, issuer, certificates)
    for manifest in topology.of_kind(*_ISSUERS):
        said = complaint(manifest, topology.now, ("Ready",)) if group_of(manifest) == "cert-manager.io" else None
        if said is None:
            continue
        ref = ref_of(manifest)
        certificates = waiting.get(ref, [])
        yield Finding(
            cause="issuer-not-ready",
            subject=ref,
            since=None if any(_since(one, None) is None for one in certificates) else said.since,
            affects=tuple(dict.fromkeys(hit for one in certificates for hit in _suffer(topology, one))),
            params={"reason": said.reason, "certificates": len(certificates)},
            quotes=tuple(quote_condition(manifest, "Ready")),
            statement=f"{ref} cannot issue certificates"
            f"{f' ({len(certificates)} wait for it)' if certificates else ''}: {said.words}.",
        )


def _is_absent(topology: Topology, issuer: Ref, certificates: list[Manifest]) -> bool:
    """Whether the issuer is really not there: its kind was read, or cert-manager itself says "not found"."""
    if not topology.saw(issuer.kind):
        return False
    if topology.of_kind(*_ISSUERS) or (issuer.namespace and topology.knows_namespace(issuer.namespace)):
        return True
    requests = [_below(topology, ref_of(one), "CertificateRequest") for one in certificates]
    said = [text(one, "message") for request in requests if request for one in items(request, "status", "conditions")]
    return any("not found" in words for words in said)


def _no_issuer(topology: Topology, issuer: Ref, certificates: list[Manifest]) -> Finding:
    twin = next((one for one in topology.of_kind(*_ISSUERS) if name_of(one) == issuer.name), None)
    like = near(issuer.name, [name_of(one) for one in topology.in_namespace(issuer.kind, issuer.namespace)])
    hint = (
        f"; {ref_of(twin)} has that name (issuerRef.kind is wrong)" if twin is not None else f"; there is {like}" if like else ""
    )
    users = ", ".join(str(ref_of(one)) for one in certificates[:4])
    return Finding(
        cause="issuer-missing",
        subject=issuer,
        since=earliest(*(_since(one, None) for one in certificates)),
        affects=tuple(dict.fromkeys(hit for one in certificates for hit in _suffer(topology, one))),
        params={"near": name_of(twin) if twin is not None else like, "twin_kind": ref_of(twin).kind if twin is not None else ""},
        quotes=tuple(
            quote_field(ref_of(one), "spec.issuerRef", f"kind {issuer.kind}, name {issuer.name}") for one in certificates[:2]
        ),
        statement=f"{issuer}, which {users} {'names' if len(certificates) == 1 else 'name'} as issuer, does not exist{hint},"
        " so nothing is issued.",
    )


@check("acme-challenge-failing", weight=0.97)
@check("acme-order-failed", weight=0.96)
@check("certificate-request-failed", weight=0.96)
@check("certificate-expired", weight=0.955)
@check("certificate-not-ready", weight=0.955)
def not_issued(topology: Topology) -> Iterator[Finding]:
    """One finding a Certificate, about the deepest link of its chain that says why."""
    for certificate in _certificates(topology):
        if _unfinished(topology, certificate):
            yield _deepest(topology, certificate)


def _deepest(topology: Topology, certificate: Manifest) -> Finding:
    request = _below(topology, ref_of(certificate), "CertificateRequest")
    order = _below(topology, ref_of(request), "Order") if request is not None else None
    challenge = _failing_challenge(topology, ref_of(order)) if order is not None else None
    if challenge is not None:
        state, said = text(challenge, "status", "state"), text(challenge, "status", "reason")
        kind, domain = text(challenge, "spec", "type"), text(challenge, "spec", "dnsName")
        words = f"the {kind} challenge for {domain} is {state or 'pending'}: {said or 'no reason is given'}"
        return _of(topology, "acme-challenge-failing", challenge, certificate, words, f"state {state}: {said}", domain=domain)
    if order is not None and text(order, "status", "state") in _ENDED:
        state, said = text(order, "status", "state"), text(order, "status", "reason")
        return _of(
            topology, "acme-order-failed", order, certificate, f"the ACME order is {state}: {said}", f"state {state}: {said}"
        )
    refused = _refusal(request) if request is not None else ""
    if request is not None and refused:
        return _of(topology, "certificate-request-failed", request, certificate, f"its request failed: {refused}", refused)
    ready, issuing = condition(certificate, "Ready"), condition(certificate, "Issuing")
    told = [one for one in (ready, issuing) if text(one, "status") == "False" or (one is issuing and one)]
    words = "; ".join(f"{text(one, 'reason')}: {text(one, 'message')}".strip(": ") for one in told)
    until = time_at(certificate, "status", "notAfter")
    if until is not None and until <= topology.now:
        cause, words = "certificate-expired", f"it expired at {until:%Y-%m-%d %H:%M:%SZ}{f'; {words}' if words else ''}"
    else:
        cause = "certificate-not-ready"
    return _of(topology, cause, certificate, certificate, words, f"Ready={text(ready, 'status')} {words}")


def _failing_challenge(topology: Topology, order: Ref) -> Manifest | None:
    made = sorted({edge.target for edge in topology.edges.get(order, ()) if edge.target.kind == "Challenge"})
    for one in made:
        found = topology.objects.get(one)
        began = created_at(found) if found is not None else None
        old = began is None or topology.now - began > PATIENCE
        state = text(found, "status", "state")
        if found is not None and (state in _ENDED or (old and state in ("", "pending", "processing"))):
            return found
    return None


def _refusal(request: Manifest) -> str:
    for kind, wrong in (("Denied", "True"), ("InvalidRequest", "True"), ("Ready", "False")):
        said = condition(request, kind)
        final = kind != "Ready" or text(said, "reason") in ("Failed", "Denied")
        if text(said, "status") == wrong and final:
            return f"{kind} ({text(said, 'reason')}): {text(said, 'message')}"
    return ""


def _of(topology: Topology, cause: str, link: Manifest, certificate: Manifest, words: str, quoted: str, **params: str) -> Finding:
    ref, home = ref_of(link), ref_of(certificate)
    events = [one for one in topology.events_about(ref) if one.kind == "Warning"]
    until = time_at(certificate, "status", "notAfter")
    over = until is not None and until <= topology.now
    still = "" if over or until is None else f" The one in use is valid until {until:%Y-%m-%d %H:%M:%SZ}."
    return Finding(
        cause=cause,
        subject=ref,
        since=_since(certificate, created_at(link) if link is not certificate else None),
        affects=_suffer(topology, certificate),
        params={"certificate": home.name, "secret": text(certificate, "spec", "secretName"), "expired": over, **params},
        quotes=(quote_field(ref, "status", quoted, created_at(link)), *(quote_event(one) for one in events[-1:])),
        statement=f"{home} is not issued{' and has expired' if over and link is not certificate else ''}:"
        f" {' '.join(words.split())[:400].rstrip('.')}.{still}",
    )


@check("certificate-renewal-overdue", weight=0.6)
def not_renewed(topology: Topology) -> Iterator[Finding]:
    """status.renewalTime passed hours ago, nothing is being issued and nothing says why: cert-manager does not act."""
    for certificate in _certificates(topology):
        due, until = time_at(certificate, "status", "renewalTime"), time_at(certificate, "status", "notAfter")
        if (
            due is None
            or until is None
            or until <= topology.now
            or topology.now - due < OVERDUE
            or _unfinished(topology, certificate)
        ):
            continue
        ref = ref_of(certificate)
        yield Finding(
            cause="certificate-renewal-overdue",
            subject=ref,
            since=due,
            params={"secret": text(certificate, "spec", "secretName")},
            quotes=(
                quote_field(ref, "status", f"renewalTime {due:%Y-%m-%d %H:%M:%SZ}, notAfter {until:%Y-%m-%d %H:%M:%SZ}", due),
            ),
            statement=f"{ref} should have been renewed at {due:%Y-%m-%d %H:%M:%SZ}, nothing renews it, and it expires at"
            f" {until:%Y-%m-%d %H:%M:%SZ}.",
        )

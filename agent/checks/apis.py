"""APIs of the cluster that do not answer, and what they are trusted by: aggregated APIs, CA and client certificates, signing
requests of kubelets that nobody approves."""

from collections.abc import Iterator
from datetime import timedelta

from agent.checks.policies import API_SERVER
from agent.checks.registry import check, quote_condition, quote_field
from agent.domain.finding import Finding
from agent.domain.objects import Manifest, Ref
from agent.signals.readings import growth, named
from agent.topology import Topology
from agent.topology.backends import backend
from agent.topology.certificates import all_over, read_bundle, read_pem
from agent.topology.fields import condition, created_at, items, mapping, name_of, ref_of, text, time_at

SETTLES = timedelta(minutes=2)
_NODE_SIGNERS = ("kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet")
PATIENCE = timedelta(minutes=5)


@check("apiservice-unavailable", weight=0.5)
def no_answer(topology: Topology) -> Iterator[Finding]:
    """APIService Available=False: what is behind it is down, missing, or not trusted. Discovery of the whole cluster suffers."""
    for api in topology.of_kind("APIService"):
        said, ref = condition(api, "Available"), ref_of(api)
        since = time_at(said, "lastTransitionTime")
        if text(said, "status") != "False" or (since is not None and topology.now - since < SETTLES):
            continue
        service = mapping(api, "spec", "service")
        behind = backend(topology, Ref("Service", text(service, "namespace"), text(service, "name"))) if service else None
        over = all_over(read_bundle(text(api, "spec", "caBundle")), topology.now)
        words = " ".join(text(said, "message").split())[:250].rstrip(". ")
        why = behind.words if behind is not None and behind.is_down else words
        if over is not None:
            why = f"its caBundle ended on {over.not_after:%Y-%m-%d} ({words})"
        users = [source for source, edges in topology.edges.items() if any(edge.target == ref for edge in edges)]
        backs = f"{behind.workload.kind}/{behind.workload.namespace}/{behind.workload.name}" if behind and behind.workload else ""
        yield Finding(
            cause="apiservice-unavailable",
            subject=ref,
            affects=tuple(sorted(users)),
            since=since,
            quotes=tuple(quote_condition(api, "Available")),
            params={"reason": text(said, "reason"), "backend": backs, "group": text(api, "spec", "group")},
            statement=f"{ref} is not available ({text(said, 'reason')}), because {why}"
            + (f"; {', '.join(map(str, sorted(users)[:4]))} need{'s' if len(users) == 1 else ''} it." if users else "."),
        )


@check("cluster-ca-expired", weight=0.98, wide=True)
def authority_over(topology: Topology) -> Iterator[Finding]:
    """The cluster's own CA, as pods get it (ConfigMap kube-root-ca.crt), holds no longer."""
    maps = [one for one in topology.of_kind("ConfigMap") if name_of(one) == "kube-root-ca.crt"]
    for one in maps[:1]:
        over = all_over(read_pem(text(mapping(one, "data"), "ca.crt")), topology.now)
        if over is not None:
            yield Finding(
                cause="cluster-ca-expired",
                subject=ref_of(one),
                since=over.not_after,
                quotes=(quote_field(ref_of(one), "data ca.crt", f"{over.subject}, not after {over.not_after:%F %T}Z"),),
                statement=f"The cluster's certificate authority ({over.subject}) ended on {over.not_after:%Y-%m-%d %H:%M}Z, so"
                " nobody inside the cluster trusts the API server any more.",
            )


@check("client-certificate-expiring", weight=0.55)
def client_over(topology: Topology) -> Iterator[Finding]:
    """Somebody uses the API with a client certificate that ends within a day, as the API server counts them."""
    buckets = named(topology.series, "apiserver_client_certificate_expiration_seconds_bucket")
    soon = [one for one in buckets if _seconds(one.labels.get("le", "")) <= 86_400 and growth(one) > 0]
    if soon:
        yield Finding(
            cause="client-certificate-expiring",
            subject=API_SERVER,
            quotes=(
                quote_field(
                    API_SERVER, "metrics", "apiserver_client_certificate_expiration_seconds counts uses within a day of the end"
                ),
            ),
            params={"requests": round(max(growth(one) for one in soon))},
            statement="Requests to the API server are made with a client certificate that ends within a day (a kubelet, a"
            " controller or a kubeconfig whose certificate was not rotated).",
        )


def _seconds(bound: str) -> float:
    try:
        return float(bound)
    except ValueError:
        return float("inf")


@check("kubelet-csr-pending", weight=0.88)
def nobody_signs(topology: Topology) -> Iterator[Finding]:
    """Signing requests of kubelets that nobody approved or that failed: logs, exec and metrics of the node stop working."""
    waiting: dict[str, list[Manifest]] = {}
    for request in topology.of_kind("CertificateSigningRequest"):
        made, signer = created_at(request), text(request, "spec", "signerName")
        told = {text(one, "type") for one in items(request, "status", "conditions")}
        done = text(request, "status", "certificate") or "Denied" in told
        late = made is not None and topology.now - made > PATIENCE
        if signer in _NODE_SIGNERS and late and (not done or "Failed" in told) and not text(request, "status", "certificate"):
            waiting.setdefault(text(request, "spec", "username").removeprefix("system:node:"), []).append(request)
    for node, requests in sorted(waiting.items()):
        subject = Ref("Node", "", node) if Ref("Node", "", node) in topology.objects else ref_of(requests[0])
        names = ", ".join(name_of(one) for one in requests[:3])
        signer = text(requests[0], "spec", "signerName").rpartition("/")[2]
        yield Finding(
            cause="kubelet-csr-pending",
            subject=subject,
            since=created_at(requests[0]),
            quotes=tuple(
                quote_field(ref_of(one), "status", f"{text(one, 'spec', 'signerName')}: not approved") for one in requests[:2]
            ),
            params={"requests": [name_of(one) for one in requests], "signer": signer},
            statement=f"Certificate signing requests of node {node} are not approved ({names}, {signer}), so its kubelet has no"
            " valid certificate: logs, exec and metrics of its pods fail.",
        )

"""Which alerts speak of the same thing? By their labels alone: nothing of the cluster is read when an alert comes in.

Label names are those of kube-state-metrics, cAdvisor, the node exporter and the kubernetes-mixin.
"""

import re
from collections.abc import Iterator, Mapping

from agent.domain.alerting import ChangeReach, Neighbourhood
from agent.domain.finding import Diagnosis, RankedCause
from agent.domain.objects import Ref

# Labels whose value is the name of a workload, or of what is named as the workload is.
_WORKLOADS = (
    "deployment",
    "statefulset",
    "daemonset",
    "rollout",
    "cronjob",
    "job_name",
    "replicaset",
    "workload",
    "horizontalpodautoscaler",
    "scaledobject",
    "owner_name",
)
_NAMED_AS_THEIRS = ("service", "destination_service_name", "app", "app_kubernetes_io_name", "label_app", "job")
_OBJECTS = {"persistentvolumeclaim": "claim", "resourcequota": "quota", "poddisruptionbudget": "budget", "ingress": "ingress"}
LIKELY = 0.5  # confidence of a cause from which others are taken for its doing
MOST_REACHED = 200  # objects that one change explains
# Who measured, not what was measured.
_MEASURER = re.compile(
    r"(^|[-/.])(kube-state-metrics|node-exporter|kubelet|cadvisor|kube-proxy|apiserver|prometheus|alertmanager|blackbox|pushgateway"
    r"|opentelemetry|otel|coredns-metrics)([-/.]|$)|exporter"
)
_NODE_MEASURER = re.compile(r"node-exporter|kubelet|^node$|^nodes$")
_HASHED = re.compile(
    r"^(?P<name>.+?)(-[0-9bcdf-hj-np-tv-z]{8,10})?-[0-9bcdf-hj-np-tv-z]{5}$"
)  # the alphabet of rand.SafeEncodeString
_ORDINAL = re.compile(r"^(?P<name>.+)-\d{1,10}$")


def neighbourhood(labels: Mapping[str, str]) -> Neighbourhood:
    """What the alert is about, and what that lies in. Empty where the labels name nothing of a cluster."""
    namespace = labels.get("namespace") or labels.get("exported_namespace") or ""
    node = labels.get("node") or labels.get("nodename") or ""
    own = set(_named(labels, namespace)) if namespace else set()
    near = set()
    if own:
        near.add(f"namespace {namespace}")
        if node:
            near.add(f"node {node}")
    elif node or _NODE_MEASURER.search(labels.get("job", "")):
        # The namespace of such an alert is that of whoever measured.
        host = node or labels.get("instance", "").rpartition(":")[0] or labels.get("instance", "")
        own = {f"node {host}"} if host else set()
    elif namespace:
        own.add(f"namespace {namespace}")
    return Neighbourhood(own=frozenset(own), near=frozenset(near))


def measures(name: str) -> bool:
    """Whether a pod or service of this name is who measured, and not what was measured."""
    return _MEASURER.search(name) is not None


def relation(one: Neighbourhood, other: Neighbourhood) -> str:
    """What joins the two, such as "same workload shop/checkout"; "" for nothing."""
    if not one.own.isdisjoint(other.own):  # most have nothing in common, and a storm asks for each alert and each open run
        return f"same {min(one.own & other.own)}"
    if not (one.own.isdisjoint(other.near) and other.own.isdisjoint(one.near)):
        return f"in the neighbourhood of {min((one.own & other.near) | (other.own & one.near))}"
    return ""


def reach(diagnosis: Diagnosis) -> ChangeReach | None:
    """What the change behind the first cause explains: the cause's object, those that it affects, those whose findings it
    explains. None where no change is known, or the cause is not likely enough for others to be taken for its doing."""
    first = diagnosis.causes[0] if diagnosis.outcome == "fault" and diagnosis.causes else None
    if first is None or first.change is None or first.confidence < LIKELY:
        return None
    about = [word for one in _explained(first) if (word := _word(one))]
    if not about:
        return None
    change = first.change
    words = f"{change.about}, {change.what}, by {change.who}, {change.at:%Y-%m-%d %H:%M:%S}Z"
    return ChangeReach(what=words, at=change.at, about=frozenset(about[:MOST_REACHED]))


def _explained(cause: RankedCause) -> Iterator[Ref]:
    yield cause.finding.subject
    if cause.change is not None:
        yield cause.change.about
    yield from cause.finding.affects
    for identity in cause.explains:  # as Finding.id writes it
        kind, _, rest = identity.partition("@")[2].partition("/")
        namespace, _, name = rest.partition("/")
        yield Ref(kind, namespace, name)


def _word(ref: Ref) -> str:
    """How an alert's labels would name it; "" for kinds that they do not name."""
    if ref.kind == "Node":
        return f"node {ref.name}"
    if not ref.namespace:
        return ""
    if ref.kind == "Pod":
        return f"workload {ref.namespace}/{_owner(ref.name)}"
    if ref.kind.lower() in _WORKLOADS or ref.kind in ("Job", "Service"):
        label = "job_name" if ref.kind == "Job" else ref.kind.lower()
        return f"workload {ref.namespace}/{_without_turn(label, ref.name)}"
    kind = _OBJECTS.get(ref.kind.lower())
    return f"{kind} {ref.namespace}/{ref.name}" if kind else ""


def _named(labels: Mapping[str, str], namespace: str) -> Iterator[str]:
    found = False
    for label in _WORKLOADS:
        if labels.get(label):
            found = True
            yield f"workload {namespace}/{_without_turn(label, labels[label])}"
    pod = labels.get("pod") or labels.get("pod_name") or ""
    if pod and not (found and _MEASURER.search(pod)):
        found = True
        yield f"workload {namespace}/{_owner(pod)}"
    for label, kind in _OBJECTS.items():
        if labels.get(label):
            found = True
            yield f"{kind} {namespace}/{labels[label]}"
    for label in _NAMED_AS_THEIRS:
        name = labels.get(label, "").rpartition("/")[2]
        if name and not _MEASURER.search(name) and not (found and label == "job"):
            found = True
            yield f"workload {namespace}/{name}"


def _owner(pod: str) -> str:
    """The workload whose pod it is, by how controllers name pods."""
    for pattern in (_HASHED, _ORDINAL):
        if found := pattern.match(pod):
            return found["name"]
    return pod


def _without_turn(label: str, name: str) -> str:
    """A job of a cron job carries the minute it was made for; a replica set its template's hash."""
    if label == "job_name" and (found := re.match(r"^(?P<name>.+)-\d{8,10}$", name)):
        return found["name"]
    if label == "replicaset" and (found := re.match(r"^(?P<name>.+)-[0-9bcdf-hj-np-tv-z]{8,10}$", name)):
        return found["name"]
    return name

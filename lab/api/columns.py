"""The columns of the built-in kinds' Tables, after k8s.io/kubernetes/pkg/printers. Descriptions are short."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lab.api.durations import age_of
from lab.api.selectors import text_of
from lab.clock import LabClock
from lab.store import Object


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    cell: Callable[[Object], Any]
    kind: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0

    def document(self) -> Object:
        return {
            "name": self.name,
            "type": self.kind,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        }


Row = list[Column]


def _at(*path: str, default: Any = "<none>") -> Callable[[Object], Any]:
    def cell(obj: Object) -> Any:
        found: Any = obj
        for part in path:
            found = found.get(part) if isinstance(found, dict) else None
        return default if found in (None, "", [], {}) else found

    return cell


def _count(*path: str) -> Callable[[Object], Any]:
    return _at(*path, default=0)


def _joined(*path: str) -> Callable[[Object], str]:
    return lambda o: ",".join(str(v) for v in _at(*path, default=[])(o)) or "<none>"


def _wide(name: str, cell: Callable[[Object], Any]) -> Column:
    return Column(name, cell, priority=1)


# --- pods ---------------------------------------------------------------------------------------------------------


def pod_status(obj: Object) -> str:
    """The word of the Status column: phase, or why a container is not running."""
    status = obj.get("status") or {}
    reason = status.get("reason") or status.get("phase") or "Unknown"
    initialising = False
    inits = status.get("initContainerStatuses") or []
    for i, state in enumerate(inits):
        at = state.get("state") or {}
        if ("terminated" in at and at["terminated"].get("exitCode") == 0) or (state.get("started") and state.get("ready")):
            continue
        if "terminated" in at:
            ended = at["terminated"]
            reason = "Init:" + (ended.get("reason") or f"ExitCode:{ended.get('exitCode')}")
        elif (at.get("waiting") or {}).get("reason") not in (None, "PodInitializing"):
            reason = "Init:" + at["waiting"]["reason"]
        else:
            reason = f"Init:{i}/{len((obj['spec'].get('initContainers')) or inits)}"
        initialising = True
        break
    if not initialising:
        reason = _container_reason(status.get("containerStatuses") or [], reason)
    if "deletionTimestamp" in obj["metadata"]:
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return str(reason)


def _container_reason(states: list[Object], reason: str) -> str:
    running = False
    for state in reversed(states):
        at = state.get("state") or {}
        if (at.get("waiting") or {}).get("reason"):
            reason = at["waiting"]["reason"]
        elif "terminated" in at:
            ended = at["terminated"]
            reason = ended.get("reason") or (
                f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode')}"
            )
        elif state.get("ready") and "running" in at:
            running = True
    return "Running" if reason == "Completed" and running else reason


def _restarts(clock: LabClock) -> Callable[[Object], str]:
    def cell(obj: Object) -> str:
        states = (obj.get("status") or {}).get("containerStatuses") or []
        total = sum(int(s.get("restartCount", 0)) for s in states)
        ended = [((s.get("lastState") or {}).get("terminated") or {}).get("finishedAt") for s in states]
        latest = max((e for e in ended if e), default=None)
        return f"{total} ({age_of(latest, clock)} ago)" if total and latest else str(total)

    return cell


def _ready(obj: Object) -> str:
    states = (obj.get("status") or {}).get("containerStatuses") or []
    return f"{sum(bool(s.get('ready')) for s in states)}/{len(obj['spec'].get('containers') or [])}"


def _pods(name: Column, age: Column, clock: LabClock) -> Row:
    return [
        name,
        Column("Ready", _ready),
        Column("Status", pod_status),
        Column("Restarts", _restarts(clock)),
        age,
        _wide("IP", _at("status", "podIP")),
        _wide("Node", _at("spec", "nodeName")),
        _wide("Nominated Node", _at("status", "nominatedNodeName")),
        _wide("Readiness Gates", lambda o: "<none>"),
    ]


# --- workloads ----------------------------------------------------------------------------------------------------


def _template(field: str, *, where: tuple[str, ...] = ("spec", "template")) -> Callable[[Object], str]:
    def cell(obj: Object) -> str:
        return ",".join(c.get(field, "") for c in _at(*where, "spec", "containers", default=[])(obj)) or "<none>"

    return cell


def _selector(obj: Object) -> str:
    return text_of(obj["spec"].get("selector")) or "<none>"


def _template_columns(*, where: tuple[str, ...] = ("spec", "template"), selector: bool = True) -> Row:
    out = [_wide("Containers", _template("name", where=where)), _wide("Images", _template("image", where=where))]
    return [*out, _wide("Selector", _selector)] if selector else out


def _of(ready: tuple[str, ...], wanted: tuple[str, ...]) -> Callable[[Object], str]:
    return lambda o: f"{_count(*ready)(o)}/{_count(*wanted)(o)}"


def _deployments(name: Column, age: Column, clock: LabClock) -> Row:
    return [
        name,
        Column("Ready", _of(("status", "readyReplicas"), ("spec", "replicas"))),
        Column("Up-to-date", _count("status", "updatedReplicas")),
        Column("Available", _count("status", "availableReplicas")),
        age,
        *_template_columns(),
    ]


def _replica_sets(name: Column, age: Column, clock: LabClock) -> Row:
    numbers = (("Desired", ("spec", "replicas")), ("Current", ("status", "replicas")), ("Ready", ("status", "readyReplicas")))
    return [name, *(Column(n, _count(*p), kind="integer") for n, p in numbers), age, *_template_columns()]


def _stateful_sets(name: Column, age: Column, clock: LabClock) -> Row:
    return [
        name,
        Column("Ready", _of(("status", "readyReplicas"), ("spec", "replicas"))),
        age,
        *_template_columns(selector=False),
    ]


def _daemon_sets(name: Column, age: Column, clock: LabClock) -> Row:
    numbers = (
        ("Desired", "desiredNumberScheduled"),
        ("Current", "currentNumberScheduled"),
        ("Ready", "numberReady"),
        ("Up-to-date", "updatedNumberScheduled"),
        ("Available", "numberAvailable"),
    )
    cells = [Column(n, _count("status", p), kind="integer") for n, p in numbers]
    selector = Column(
        "Node Selector",
        lambda o: text_of({"matchLabels": _at("spec", "template", "spec", "nodeSelector", default={})(o)}) or "<none>",
    )
    return [name, *cells, selector, age, *_template_columns()]


def _job_status(obj: Object) -> str:
    for condition in (obj.get("status") or {}).get("conditions") or []:
        if condition.get("status") == "True" and condition["type"] in (
            "Complete",
            "Failed",
            "Suspended",
            "FailureTarget",
            "SuccessCriteriaMet",
        ):
            return str(condition["type"])
    return "Terminating" if "deletionTimestamp" in obj["metadata"] else "Running"


def _jobs(name: Column, age: Column, clock: LabClock) -> Row:
    def took(obj: Object) -> str:
        status = obj.get("status") or {}
        return age_of(status.get("startTime"), clock) if status.get("startTime") else ""

    done = Column("Completions", _of(("status", "succeeded"), ("spec", "completions")))
    return [name, Column("Status", _job_status), done, Column("Duration", took), age, *_template_columns()]


def _cron_jobs(name: Column, age: Column, clock: LabClock) -> Row:
    def last(obj: Object) -> str:
        when = (obj.get("status") or {}).get("lastScheduleTime")
        return age_of(when, clock) if when else "<none>"

    where = ("spec", "jobTemplate", "spec", "template")
    return [
        name,
        Column("Schedule", _at("spec", "schedule")),
        Column("Timezone", _at("spec", "timeZone")),
        Column("Suspend", lambda o: str(bool(o["spec"].get("suspend"))), kind="boolean"),
        Column("Active", lambda o: len((o.get("status") or {}).get("active") or []), kind="integer"),
        Column("Last Schedule", last),
        age,
        *_template_columns(where=where, selector=False),
    ]


# --- the rest -----------------------------------------------------------------------------------------------------


def _ports(obj: Object) -> str:
    shown = []
    for port in obj["spec"].get("ports") or []:
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        shown.append(f"{port['port']}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(shown) or "<none>"


def _services(name: Column, age: Column, clock: LabClock) -> Row:
    def external(obj: Object) -> str:
        kind = str(obj["spec"].get("type"))
        return {"ExternalName": str(obj["spec"].get("externalName", "")), "LoadBalancer": "<pending>"}.get(kind, "<none>")

    return [
        name,
        Column("Type", _at("spec", "type")),
        Column("Cluster-IP", _at("spec", "clusterIP")),
        Column("External-IP", external),
        Column("Port(s)", _ports),
        age,
        _wide("Selector", lambda o: text_of({"matchLabels": o["spec"].get("selector") or {}}) or "<none>"),
    ]


def _event_source(obj: Object) -> str:
    source = obj.get("source") or {}
    component = source.get("component") or obj.get("reportingComponent") or obj.get("reportingController") or ""
    host = source.get("host") or obj.get("reportingInstance") or ""
    return ", ".join(p for p in (component, host) if p)


def _events(name: Column, age: Column, clock: LabClock) -> Row:
    def seen(*fields: str) -> Callable[[Object], str]:
        return lambda o: age_of(next((o[f] for f in fields if o.get(f)), None), clock)

    def about(obj: Object) -> str:
        subject = obj.get("involvedObject") or obj.get("regarding") or {}
        return f"{str(subject.get('kind', '')).lower()}/{subject.get('name', '')}"

    def part(obj: Object) -> str:
        return str((obj.get("involvedObject") or obj.get("regarding") or {}).get("fieldPath") or "")

    def count(obj: Object) -> int:
        return int((obj.get("series") or {}).get("count") or obj.get("count") or obj.get("deprecatedCount") or 1)

    return [
        Column("Last Seen", seen("lastTimestamp", "deprecatedLastTimestamp", "eventTime")),
        Column("Type", _at("type", default="")),
        Column("Reason", _at("reason", default="")),
        Column("Object", about),
        _wide("Subobject", part),
        _wide("Source", _event_source),
        Column("Message", lambda o: str(o.get("message") or o.get("note") or "").strip()),
        _wide("First Seen", seen("firstTimestamp", "deprecatedFirstTimestamp", "eventTime")),
        _wide("Count", count),
        Column(name.name, name.cell, format="name", description=name.description, priority=1),
    ]


def _nodes(name: Column, age: Column, clock: LabClock) -> Row:
    def status(obj: Object) -> str:
        conditions = {c["type"]: c["status"] for c in (obj.get("status") or {}).get("conditions") or []}
        words = ["Ready" if conditions.get("Ready") == "True" else "NotReady" if "Ready" in conditions else "Unknown"]
        return ",".join([*words, *(["SchedulingDisabled"] if obj["spec"].get("unschedulable") else [])])

    def roles(obj: Object) -> str:
        prefix = "node-role.kubernetes.io/"
        return (
            ",".join(sorted(k.removeprefix(prefix) for k in obj["metadata"].get("labels") or {} if k.startswith(prefix)))
            or "<none>"
        )

    def address(kind: str) -> Callable[[Object], str]:
        return lambda o: next(
            (a["address"] for a in (o.get("status") or {}).get("addresses") or [] if a["type"] == kind), "<none>"
        )

    info = ("status", "nodeInfo")
    return [
        name,
        Column("Status", status),
        Column("Roles", roles),
        age,
        Column("Version", _at(*info, "kubeletVersion")),
        _wide("Internal-IP", address("InternalIP")),
        _wide("External-IP", address("ExternalIP")),
        _wide("OS-Image", _at(*info, "osImage")),
        _wide("Kernel-Version", _at(*info, "kernelVersion")),
        _wide("Container-Runtime", _at(*info, "containerRuntimeVersion")),
    ]


def _data(obj: Object) -> int:
    return len(obj.get("data") or {}) + len(obj.get("binaryData") or {})


def _claims(name: Column, age: Column, clock: LabClock) -> Row:
    modes = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
    access = Column("Access Modes", lambda o: ",".join(modes.get(m, m) for m in (o.get("status") or {}).get("accessModes") or []))
    return [
        name,
        Column("Status", _at("status", "phase", default="")),
        Column("Volume", _at("spec", "volumeName", default="")),
        Column("Capacity", _at("status", "capacity", "storage", default="")),
        access,
        Column("StorageClass", _at("spec", "storageClassName", default="")),
        Column("VolumeAttributesClass", _at("spec", "volumeAttributesClassName", default="<unset>")),
        age,
        _wide("VolumeMode", _at("spec", "volumeMode")),
    ]


def _autoscalers(name: Column, age: Column, clock: LabClock) -> Row:
    def target(obj: Object) -> str:
        shown = []
        for metric in obj["spec"].get("metrics") or []:
            resource = metric.get("resource") or {}
            wanted = (resource.get("target") or {}).get("averageUtilization")
            now = next(
                (
                    (m["resource"].get("current") or {}).get("averageUtilization")
                    for m in (obj.get("status") or {}).get("currentMetrics") or []
                    if (m.get("resource") or {}).get("name") == resource.get("name")
                ),
                None,
            )
            shown.append(f"{resource.get('name', metric['type'])}: {'<unknown>' if now is None else f'{now}%'}/{wanted}%")
        return ", ".join(shown) or "<none>"

    return [
        name,
        Column("Reference", lambda o: f"{o['spec']['scaleTargetRef']['kind']}/{o['spec']['scaleTargetRef']['name']}"),
        Column("Targets", target),
        Column("MinPods", _at("spec", "minReplicas")),
        Column("MaxPods", _at("spec", "maxReplicas")),
        Column("Replicas", _count("status", "currentReplicas")),
        age,
    ]


def _budgets(name: Column, age: Column, clock: LabClock) -> Row:
    least, most = _at("spec", "minAvailable", default="N/A"), _at("spec", "maxUnavailable", default="N/A")
    return [
        name,
        Column("Min Available", least),
        Column("Max Unavailable", most),
        Column("Allowed Disruptions", _count("status", "disruptionsAllowed"), kind="integer"),
        age,
    ]


def _endpoint_slices(name: Column, age: Column, clock: LabClock) -> Row:
    ports = Column("Ports", lambda o: ",".join(str(p.get("port")) for p in o.get("ports") or []) or "<unset>")
    ends = Column(
        "Endpoints", lambda o: ",".join(a for e in o.get("endpoints") or [] for a in e.get("addresses") or []) or "<unset>"
    )
    return [name, Column("AddressType", _at("addressType")), ports, ends, age]


def _quotas(name: Column, age: Column, clock: LabClock) -> Row:
    def shown(kind: str) -> Callable[[Object], str]:
        def cell(obj: Object) -> str:
            status = obj.get("status") or {}
            hard, used = status.get("hard") or {}, status.get("used") or {}
            rows = [n for n in sorted(hard) if n.startswith("limits.") == (kind == "limits")]
            return ", ".join(f"{n}: {used.get(n, '0')}/{hard[n]}" for n in rows)

        return cell

    return [name, Column("Request", shown("requests")), Column("Limit", shown("limits")), age]


def _bindings(name: Column, age: Column, clock: LabClock) -> Row:
    def subjects(kind: str) -> Callable[[Object], str]:
        return lambda o: ", ".join(
            f"{s['namespace']}/{s['name']}" if kind == "ServiceAccount" else s["name"]
            for s in o.get("subjects") or []
            if s["kind"] == kind
        )

    role = Column("Role", lambda o: f"{o['roleRef']['kind']}/{o['roleRef']['name']}")
    return [name, role, age, *(_wide(f"{k}s", subjects(k)) for k in ("User", "Group", "ServiceAccount"))]


def _metrics(name: Column, age: Column, clock: LabClock) -> Row:
    name = Column("Name", name.cell, format="name", description="Name of the resource")

    def usage(what: str) -> Callable[[Object], str]:
        return lambda o: str((o.get("usage") or ((o.get("containers") or [{}])[0]).get("usage") or {}).get(what, "0"))

    return [
        name,
        Column("cpu", usage("cpu"), format="quantity"),
        Column("memory", usage("memory"), format="quantity"),
        Column("Window", _at("window", default=""), format="duration"),
    ]


def _simple(*columns: Column) -> Callable[[Column, Column, LabClock], Row]:
    return lambda name, age, clock: [name, *columns, age]


COLUMNS: dict[tuple[str, str], Callable[[Column, Column, LabClock], Row]] = {
    ("", "pods"): _pods,
    ("", "services"): _services,
    ("", "events"): _events,
    ("", "nodes"): _nodes,
    ("", "namespaces"): _simple(Column("Status", _at("status", "phase", default=""))),
    ("", "configmaps"): _simple(Column("Data", _data)),
    ("", "secrets"): _simple(Column("Type", _at("type", default="")), Column("Data", _data)),
    ("", "serviceaccounts"): _simple(Column("Secrets", lambda o: str(len(o.get("secrets") or [])))),
    ("", "persistentvolumeclaims"): _claims,
    ("", "resourcequotas"): _quotas,
    ("apps", "deployments"): _deployments,
    ("apps", "replicasets"): _replica_sets,
    ("apps", "statefulsets"): _stateful_sets,
    ("apps", "daemonsets"): _daemon_sets,
    ("batch", "jobs"): _jobs,
    ("batch", "cronjobs"): _cron_jobs,
    ("autoscaling", "horizontalpodautoscalers"): _autoscalers,
    ("policy", "poddisruptionbudgets"): _budgets,
    ("discovery.k8s.io", "endpointslices"): _endpoint_slices,
    ("rbac.authorization.k8s.io", "rolebindings"): _bindings,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _bindings,
    ("coordination.k8s.io", "leases"): _simple(Column("Holder", _at("spec", "holderIdentity", default=""))),
    ("metrics.k8s.io", "pods"): _metrics,
    ("metrics.k8s.io", "nodes"): _metrics,
}

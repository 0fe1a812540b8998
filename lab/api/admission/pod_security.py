"""Pod Security Standards: what `pod-security.kubernetes.io/*` labels of a namespace forbid or warn of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lab.api.cluster import Cluster
from lab.api.request import Call
from lab.api.resources import Resource
from lab.api.status import forbidden
from lab.store import Object

PREFIX = "pod-security.kubernetes.io/"
LEVELS = ("privileged", "baseline", "restricted")
_TEMPLATES = {
    ("apps", "deployments"),
    ("apps", "replicasets"),
    ("apps", "statefulsets"),
    ("apps", "daemonsets"),
    ("batch", "jobs"),
    ("batch", "cronjobs"),
    ("", "replicationcontrollers"),
    ("", "podtemplates"),
}
_BASELINE_CAPABILITIES = {
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
}
_RESTRICTED_VOLUMES = {
    "name",
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
    "image",
}


@dataclass(frozen=True, slots=True)
class Fault:
    title: str
    detail: str

    def __str__(self) -> str:
        return f"{self.title} ({self.detail})"


def check(cluster: Cluster, resource: Resource, obj: Object, live: Object | None, call: Call) -> None:
    """ApiError 403 for a pod below the enforced level; warnings for templates of workloads."""
    if (resource.group, resource.plural) == ("", "namespaces"):
        _warn_of_existing(cluster, obj, live, call)
        return
    is_pod = (resource.group, resource.plural) == ("", "pods")
    if not resource.namespaced or not (is_pod or (resource.group, resource.plural) in _TEMPLATES):
        return
    namespace = cluster.namespace(obj["metadata"].get("namespace", "")) or {}
    labels = (namespace.get("metadata") or {}).get("labels") or {}
    if is_pod:
        if live is not None:
            return
        level, version = _level(labels, "enforce")
        if faults := list(faults_of(level, obj["spec"])):
            why = f'violates PodSecurity "{level}:{version}": {", ".join(map(str, faults))}'
            raise forbidden("pods", "", obj["metadata"]["name"], why)
        return
    level, version = _level(labels, "warn" if PREFIX + "warn" in labels else "enforce")
    if faults := list(faults_of(level, _template(obj))):
        call.warnings.append(f'would violate PodSecurity "{level}:{version}": {", ".join(map(str, faults))}')


def _template(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    spec = obj.get("spec") or obj
    spec = ((spec.get("jobTemplate") or {}).get("spec")) or spec
    return (spec.get("template") or {}).get("spec") or {}


def _level(labels: Mapping[str, str], mode: str) -> tuple[str, str]:
    return labels.get(PREFIX + mode, "privileged"), labels.get(f"{PREFIX}{mode}-version", "latest")


def _warn_of_existing(cluster: Cluster, obj: Object, live: Object | None, call: Call) -> None:
    if live is None:
        return
    before, after = (_level((o["metadata"].get("labels") or {}), "enforce") for o in (live, obj))
    if before == after or after[0] not in LEVELS:
        return
    name = obj["metadata"]["name"]
    grouped: dict[str, list[str]] = {}
    for pod in cluster.store.list("", "pods", name):
        titles = ", ".join(f.title for f in faults_of(after[0], pod.get("spec") or {}))
        if titles:
            grouped.setdefault(titles, []).append(pod["metadata"]["name"])
    if grouped:
        call.warnings.append(
            f'existing pods in namespace "{name}" violate the new PodSecurity enforce level "{after[0]}:{after[1]}"'
        )
    for titles, pods in sorted(grouped.items(), key=lambda item: sorted(item[1])):
        more = len(pods) - 1
        others = f" (and {more} other pod{'s' if more > 1 else ''})" if more else ""
        call.warnings.append(f"{sorted(pods)[0]}{others}: {titles}")


def faults_of(level: str, spec: Mapping[str, Any]) -> Iterator[Fault]:
    """In the order in which a real server lists them."""
    if level not in ("baseline", "restricted"):
        return
    containers = [*(spec.get("initContainers") or []), *(spec.get("containers") or []), *(spec.get("ephemeralContainers") or [])]
    shared = [f"{n}=true" for n in ("hostNetwork", "hostPID", "hostIPC") if spec.get(n)]
    if shared:
        yield Fault("host namespaces", ", ".join(shared))
    if level == "baseline":
        paths = [v["name"] for v in spec.get("volumes") or [] if "hostPath" in v]
        if paths:
            yield Fault("hostPath volumes", _subject("volume", paths, "", ""))
    yield from _host_ports(containers)
    yield from _flag(
        containers, "privileged", lambda s: bool(s.get("privileged")), "must not set securityContext.privileged=true"
    )
    if level == "baseline":
        bad = [c["name"] for c in containers if set(_capabilities(c).get("add") or ()) - _BASELINE_CAPABILITIES]
        if bad:
            yield Fault(
                "non-default capabilities",
                _subject("container", bad, "must not include extra capabilities in securityContext.capabilities.add"),
            )
        return
    yield from _restricted(spec, containers)


def _restricted(spec: Mapping[str, Any], containers: list[Any]) -> Iterator[Fault]:
    pod = spec.get("securityContext") or {}
    yield from _flag(
        containers,
        "allowPrivilegeEscalation != false",
        lambda s: s.get("allowPrivilegeEscalation") is not False,
        "must set securityContext.allowPrivilegeEscalation=false",
    )
    bare = [c["name"] for c in containers if "ALL" not in (_capabilities(c).get("drop") or ())]
    if bare:
        yield Fault(
            "unrestricted capabilities", _subject("container", bare, 'must set securityContext.capabilities.drop=["ALL"]')
        )
    for volume in spec.get("volumes") or []:
        kinds = sorted(set(volume) - _RESTRICTED_VOLUMES)
        if kinds:
            yield Fault("restricted volume types", f'volume "{volume["name"]}" uses restricted volume type "{kinds[0]}"')
    root = [
        c["name"] for c in containers if (c.get("securityContext") or {}).get("runAsNonRoot", pod.get("runAsNonRoot")) is not True
    ]
    if root:
        yield Fault("runAsNonRoot != true", "pod or " + _subject("container", root, "must set securityContext.runAsNonRoot=true"))
    good = ("RuntimeDefault", "Localhost")
    loose = [
        c["name"]
        for c in containers
        if ((c.get("securityContext") or {}).get("seccompProfile") or pod.get("seccompProfile") or {}).get("type") not in good
    ]
    if loose:
        yield Fault(
            "seccompProfile",
            "pod or "
            + _subject("container", loose, 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'),
        )


def _host_ports(containers: list[Any]) -> Iterator[Fault]:
    bad = [c["name"] for c in containers if any(p.get("hostPort") for p in c.get("ports") or [])]
    if bad:
        ports = sorted({str(p["hostPort"]) for c in containers for p in c.get("ports") or [] if p.get("hostPort")})
        yield Fault("hostPort", _subject("container", bad, f"uses hostPort{'s' if len(ports) > 1 else ''} {', '.join(ports)}"))


def _flag(containers: list[Any], title: str, bad: Any, must: str) -> Iterator[Fault]:
    names = [c["name"] for c in containers if bad(c.get("securityContext") or {})]
    if names:
        yield Fault(title, _subject("container", names, must))


def _capabilities(container: Mapping[str, Any]) -> Mapping[str, Any]:
    return (container.get("securityContext") or {}).get("capabilities") or {}


def _subject(what: str, names: list[str], must: str, gap: str = " ") -> str:
    quoted = ", ".join(f'"{n}"' for n in names)
    return f"{what}{'s' if len(names) > 1 else ''} {quoted}{gap}{must}"

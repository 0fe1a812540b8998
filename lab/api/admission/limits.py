"""LimitRange: defaults for containers, and the bounds they must keep."""

from lab.api.cluster import Cluster
from lab.api.quantity import parse
from lab.api.resources import Resource
from lab.api.status import forbidden
from lab.store import Object


def _ranges(cluster: Cluster, namespace: str) -> list[Object]:
    return [
        limit
        for item in cluster.store.list("", "limitranges", namespace)
        for limit in (item.get("spec") or {}).get("limits") or []
    ]


def fill_pod(cluster: Cluster, obj: Object) -> None:
    spec = obj["spec"]
    done: list[str] = []
    for limit in _ranges(cluster, obj["metadata"]["namespace"]):
        if limit.get("type") != "Container":
            continue
        for role, containers in (("init container", spec.get("initContainers")), ("container", spec.get("containers"))):
            for container in containers or []:
                done += _fill_container(limit, container, role)
    if done:
        obj["metadata"].setdefault("annotations", {})["kubernetes.io/limit-ranger"] = f"LimitRanger plugin set: {'; '.join(done)}"


def _fill_container(limit: Object, container: Object, role: str) -> list[str]:
    """What was set, in the words of the annotation."""
    done = []
    resources = container.setdefault("resources", {})
    for kind, defaults in (("requests", limit.get("defaultRequest")), ("limits", limit.get("default"))):
        missing = sorted(n for n in defaults or {} if n not in (resources.get(kind) or {}))
        for name in missing:
            resources.setdefault(kind, {})[name] = (defaults or {})[name]
        if missing:
            done.append(f"{', '.join(missing)} {kind.removesuffix('s')} for {role} {container['name']}")
    return done


def check(cluster: Cluster, resource: Resource, obj: Object, live: Object | None) -> None:
    """ApiError 403 with every bound that is not kept."""
    if (resource.group, resource.plural) != ("", "pods") or live is not None:
        return
    faults: list[str] = []
    for limit in _ranges(cluster, obj["metadata"]["namespace"]):
        if limit.get("type") == "Container":
            for container in obj["spec"].get("containers") or []:
                faults += _container_faults(limit, container.get("resources") or {})
    if faults:
        joined = faults[0] if len(faults) == 1 else "[" + ", ".join(faults) + "]"
        raise forbidden("pods", "", obj["metadata"]["name"], joined)


def _container_faults(limit: Object, resources: Object) -> list[str]:
    faults = []
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    for name, least in (limit.get("min") or {}).items():
        if name not in requests:
            faults.append(f"minimum {name} usage per Container is {least}.  No request is specified")
        elif parse(requests[name]) < parse(least):
            faults.append(f"minimum {name} usage per Container is {least}, but request is {requests[name]}")
    for name, most in (limit.get("max") or {}).items():
        if name not in limits:
            faults.append(f"maximum {name} usage per Container is {most}.  No limit is specified")
        elif parse(limits[name]) > parse(most):
            faults.append(f"maximum {name} usage per Container is {most}, but limit is {limits[name]}")
    for name, ratio in (limit.get("maxLimitRequestRatio") or {}).items():
        if (
            name in requests
            and name in limits
            and parse(requests[name])
            and parse(limits[name]) / parse(requests[name]) > parse(ratio)
        ):
            shown = (parse(limits[name]) / parse(requests[name])).normalize()
            faults.append(f"{name} max limit to request ratio per Container is {ratio}, but provided ratio is {shown:f}")
    return faults

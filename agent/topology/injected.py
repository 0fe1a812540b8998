"""Whom chaos experiments and meshes disturb on purpose: Chaos Mesh, LitmusChaos, ChaosBlade, Istio, Envoy Gateway, Kuma. Pure."""

from collections.abc import Iterator, Mapping

from agent.domain.objects import Manifest, Ref
from agent.topology.fields import items, labels_of, mapping, name_of, namespace_of, ref_of, text
from agent.topology.kinds import group_in
from agent.topology.selectors import matches_labels

_Objects = Mapping[Ref, Manifest]


def injected_into(manifest: Manifest, objects: _Objects, *, over: bool = False) -> list[Ref]:
    """Pods and nodes into which an experiment has put its fault, or is to put it; Services and routes that a mesh is told to
    disturb. What is gone by now is named as it was. `over`: those that it has left by now, too."""
    group = group_in(text(manifest, "apiVersion"))
    match group:
        case "chaos-mesh.org":
            return _of_chaos_mesh(manifest, objects, over=over)
        case "litmuschaos.io" if manifest.get("kind") == "ChaosEngine":
            return list(dict.fromkeys(_of_litmus(manifest, objects)))
        case "chaosblade.io":
            return list(dict.fromkeys(_of_chaos_blade(manifest)))
        case "networking.istio.io" if any(mapping(one, "fault") for one in items(manifest, "spec", "http")):
            hosts = [str(one).split(".") for one in items(manifest, "spec", "hosts")]
            return [Ref("Service", parts[1] if len(parts) > 1 else namespace_of(manifest), parts[0]) for parts in hosts]
        case "gateway.envoyproxy.io" if mapping(manifest, "spec", "faultInjection"):
            named = [mapping(manifest, "spec", "targetRef"), *items(manifest, "spec", "targetRefs")]
            return [Ref(text(one, "kind"), namespace_of(manifest), text(one, "name")) for one in named if text(one, "name")]
        case "kuma.io" if manifest.get("kind") == "MeshFaultInjection":
            named = [
                mapping(manifest, "spec", "targetRef"),
                *(mapping(one, "targetRef") for one in items(manifest, "spec", "to")),
            ]
            names = [text(one, "name").partition("_")[0] for one in named if text(one, "kind") in ("MeshService", "Dataplane")]
            return [Ref("Service", namespace_of(manifest), name) for name in names if name]
        case _:
            return []


def is_injected(manifest: Manifest) -> bool:
    """Whether a Chaos Mesh experiment has its fault in something, be it a pod or a machine."""
    status = mapping(manifest, "status", "experiment")
    records = [*items(status, "containerRecords"), *items(status, "records")]
    return any(text(one, "phase") == "Injected" for one in records) or (
        text(status, "phase") == "Running" and bool(items(status, "podRecords"))  # before Chaos Mesh 2
    )


def _of_chaos_mesh(manifest: Manifest, objects: _Objects, *, over: bool) -> list[Ref]:
    status = mapping(manifest, "status", "experiment")
    records = [*items(status, "containerRecords"), *items(status, "records")]
    ids = [text(one, "id") for one in records if over or text(one, "phase") == "Injected"]
    found = [Ref("Pod", text(one, "namespace"), text(one, "name")) for one in items(status, "podRecords")]
    for one in ids:
        parts = one.split("/")
        if one[:1] != "{" and "://" not in one and len(parts) in (2, 3):  # namespace/pod, namespace/pod/container
            found.append(Ref("Pod", parts[0], parts[1]))
        else:  # a machine: by its address, or by the name that its cloud knows
            found += [ref for ref, node in objects.items() if ref.kind == "Node" and _is_that_machine(node, one)]
    return list(dict.fromkeys(found))


def _is_that_machine(node: Manifest, said: str) -> bool:
    known = [name_of(node), *(text(one, "address") for one in items(node, "status", "addresses"))]
    last = text(node, "spec", "providerID").rpartition("/")[2]
    return any(len(one) > 3 and one in said for one in (*known, last))


def _of_litmus(engine: Manifest, objects: _Objects) -> Iterator[Ref]:
    """What its results name; else what the engine is to hit: an application by labels, workloads and pods by name, nodes."""
    told = False
    for result in (one for ref, one in objects.items() if ref.kind == "ChaosResult"):
        if text(result, "spec", "engine") == name_of(engine) and namespace_of(result) == namespace_of(engine):
            for one in items(result, "status", "history", "targets"):
                kind = {"node": "Node", "pod": "Pod"}.get(text(one, "kind").lower(), text(one, "kind").capitalize())
                if text(one, "name"):
                    told = True
                    space = "" if kind == "Node" else text(engine, "spec", "appinfo", "appns") or namespace_of(engine)
                    yield Ref({"Statefulset": "StatefulSet", "Daemonset": "DaemonSet"}.get(kind, kind), space, text(one, "name"))
    settings = {
        text(variable, "name"): text(variable, "value")
        for one in items(engine, "spec", "experiments")
        for variable in items(one, "spec", "components", "env")
    }
    for name in _listed(settings.get("TARGET_NODE", ""), settings.get("TARGET_NODES", "")):
        yield Ref("Node", "", name)
    wanted = _labels(settings.get("NODE_LABEL", ""))
    yield from (ref for ref, one in objects.items() if wanted and ref.kind == "Node" and matches_labels(wanted, labels_of(one)))
    if told:
        return
    space = text(engine, "spec", "appinfo", "appns") or namespace_of(engine)
    yield from (Ref("Pod", space, name) for name in _listed(settings.get("TARGET_PODS", "")))
    chosen = [(space, text(engine, "spec", "appinfo", "applabel"), "")]
    for field in ("workloads", "pods"):
        named = items(engine, "spec", "selectors", field)
        chosen += [(text(one, "namespace") or space, text(one, "labels"), text(one, "names")) for one in named]
    for where, labels, names in chosen:
        by_label, by_name = _labels(labels), set(_listed(names))
        for ref, one in objects.items():
            if ref.namespace != where or ref.kind not in ("Pod", "Deployment", "StatefulSet", "DaemonSet"):
                continue
            if ref.name in by_name or (by_label and ref.kind == "Pod" and matches_labels(by_label, labels_of(one))):
                yield ref_of(one)


def _listed(*values: str) -> list[str]:
    return [name.strip() for value in values for name in value.split(",") if name.strip()]


def _labels(said: str) -> dict[str, str]:
    """ "app=web,tier=front" as labels; nothing else is understood."""
    pairs = [one.partition("=") for one in said.split(",")]
    return {key.strip(): value.strip() for key, mark, value in pairs if mark and key.strip()}


def _of_chaos_blade(manifest: Manifest) -> Iterator[Ref]:
    """identifier: namespace/node/pod/container of a pod, the name alone of a node."""
    for experiment in items(manifest, "status", "expStatuses"):
        for one in items(experiment, "resStatuses"):
            parts = text(one, "identifier").split("/")
            if text(one, "kind") == "node":
                yield Ref("Node", "", parts[-1])
            elif len(parts) > 2:
                yield Ref("Pod", parts[0], parts[2])

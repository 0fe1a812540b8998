"""What belongs to an object in people's words: its database, its config, its node. Pure: topology in, objects out."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from agent.chat.phrases import PORTS, STORE_WORDS, STORES
from agent.domain.objects import Manifest, Ref
from agent.reasoning.vocabulary import KIND_WORDS
from agent.signals.masking import safe
from agent.topology import Topology, pod_spec_of
from agent.topology.fields import text
from agent.topology.pods import container_ports, containers

_KINDS = {
    "config": "ConfigMap", "configuration": "ConfigMap", "settings": "ConfigMap", "configs": "ConfigMap",
    "volume": "PersistentVolumeClaim", "disk": "PersistentVolumeClaim", "storage": "PersistentVolumeClaim",
    "account": "ServiceAccount", "host": "Node", "machine": "Node", "autoscaling": "HorizontalPodAutoscaler",
    "credentials": "Secret", "password": "Secret", "certificate": "Certificate", "policy": "NetworkPolicy",
}  # fmt: skip
_STEPS = 3  # a workload, the Service it calls, the workload behind that
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod")
MOST = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Belonging:
    """`refs`: the nearest that fit. `outside`: addresses beyond the cluster that fit; `missing`: addresses of Services that were
    not seen. `needs`: what it has, for who asks on."""

    refs: tuple[Ref, ...] = ()
    outside: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    needs: tuple[Ref, ...] = ()


def is_known(word: str) -> bool:
    return word in STORE_WORDS or word in _KINDS or word in KIND_WORDS


def belonging(word: str, subject: Ref, topology: Topology) -> Belonging:
    start = topology.unit(subject)
    near = list(_by_distance(start, topology))
    needs = tuple(ref for ref, _ in near if ref.kind not in ("Node", "ResourceQuota"))[:MOST]
    store = STORE_WORDS.get(word)
    if store is not None:
        found = _nearest([(ref, far) for ref, far in near if _is_store(ref, store, topology)])
        if found:
            return Belonging(refs=found, needs=needs)
        elsewhere = list(_addresses(start, store, topology))
        return Belonging(
            outside=tuple(dict.fromkeys(words for words, service in elsewhere if service is None)),
            missing=tuple(dict.fromkeys(words for words, service in elsewhere if service is not None)),
            needs=needs,
        )
    kind = _KINDS.get(word) or KIND_WORDS.get(word, "")
    around = near + [(ref, 1) for ref in _in_front(start, topology)]
    found = _nearest([(ref, far) for ref, far in around if ref.kind == kind])
    if not found and not kind:
        found = _nearest([(ref, far) for ref, far in around if word in re.split(r"[-._]", ref.name)])
    return Belonging(refs=found, needs=needs)


def _by_distance(start: Ref, topology: Topology) -> Iterator[tuple[Ref, int]]:
    seen, layer = {start}, [start]
    for far in range(1, _STEPS + 1):
        following: list[Ref] = []
        for one in layer:
            for edge in topology.edges.get(one, ()):
                target = topology.unit(edge.target)
                if target not in seen:
                    seen.add(target)
                    following.append(target)
        following.sort()
        yield from ((ref, far) for ref in following)
        layer = following


def _nearest(found: list[tuple[Ref, int]]) -> tuple[Ref, ...]:
    """Of a Service and the workload behind it the workload, because that is what runs."""
    if not found:
        return ()
    workloads = [one for one in found if one[0].kind in _WORKLOADS]
    least = min(far for _, far in found)
    close = [ref for ref, far in workloads if far <= least + 1] or [ref for ref, far in found if far == least]
    return tuple(dict.fromkeys(close))[:MOST]


def _in_front(start: Ref, topology: Topology) -> list[Ref]:
    """What leads to it: Services that select it, Ingresses, autoscalers, budgets and policies; and those one step further."""
    first = sorted(ref for ref, edges in topology.edges.items() if any(topology.unit(edge.target) == start for edge in edges))
    services = {ref for ref in first if ref.kind == "Service"}
    second = sorted(ref for ref, edges in topology.edges.items() if any(edge.target in services for edge in edges))
    return list(dict.fromkeys((*first, *second)))


def _is_store(ref: Ref, store: str, topology: Topology) -> bool:
    if ref.kind in ("Node", "ConfigMap", "Secret", "ServiceAccount", "PersistentVolumeClaim", "PersistentVolume", "StorageClass"):
        return False
    manifest = topology.objects.get(ref)
    if _says(ref.name, store):
        return True
    if manifest is None:
        return False
    if ref.kind == "Service":
        ports = manifest.get("spec", {}).get("ports") or ()
        return any(one.get("port") in PORTS[store] or _says(text(one, "name"), store) for one in ports)
    return _runs_one(manifest, store)


def _runs_one(manifest: Manifest, store: str) -> bool:
    spec = pod_spec_of(manifest)
    images = [text(one, "image").rpartition("/")[2].partition(":")[0] for one in containers(spec, init=False)]
    return any(_says(image, store) for image in images) or any(port in PORTS[store] for _, port, _ in container_ports(spec))


def _says(name: str, store: str) -> bool:
    parts = re.split(r"[-._]", name.lower())
    return any(part in STORES[store] or part.rstrip("0123456789") in STORES[store] for part in parts)


def _addresses(start: Ref, store: str, topology: Topology) -> Iterator[tuple[str, Ref | None]]:
    """Addresses of its configuration that fit by port or name and lead to nothing that was seen: words for them, and the
    Service that they name, where they name one."""
    for address in topology.addresses.get(start, ()):
        if address.port in PORTS[store] or _says(address.host, store) or _says(address.key, store):
            service = topology.host(address.host, start.namespace)
            if service is None or service not in topology.objects:
                port = f":{address.port}" if address.port else ""
                yield safe(f"{address.host}{port} ({address.where})", limit=200), service

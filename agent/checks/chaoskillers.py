"""Programs whose work is to kill pods at random: chaoskube, kube-monkey. They leave no object of their own; their arguments,
labels and words tell whom they are after."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from agent.checks.registry import check, quote_event, quote_field, quote_log
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Manifest, Ref
from agent.signals.logs import time_of
from agent.signals.searching import index_of
from agent.topology import Happening, Topology, pod_spec_of
from agent.topology.fields import items, labels_of, ref_of, text
from agent.topology.pods import containers
from agent.topology.workloads import live_pods, wanted, workloads

WITHIN = timedelta(hours=1)
_KILLERS = {"chaoskube": re.compile(r"(?:^|/)chaoskube\b"), "kube-monkey": re.compile(r"(?:^|/)kube-?monkey\b")}
_DID = re.compile(r"terminat|kill|delet", re.I)
_NEEDLES = ("terminat", "kill", "delet")


@check("fault-injected", weight=0.97)
def kills_at_random(topology: Topology) -> Iterator[Finding]:
    """A killer that runs and is no dry run, and what it is after has lost a pod within the hour."""
    for workload in workloads(topology):
        spec = pod_spec_of(workload)
        for box in containers(spec, init=False):
            name = next((name for name, pattern in _KILLERS.items() if pattern.search(text(box, "image"))), "")
            if not name or not wanted(workload) or _is_dry(topology, name, box, ref_of(workload)):
                continue
            hit = {unit: quotes for unit in map(ref_of, workloads(topology)) if unit != ref_of(workload)
                   and _is_aimed_at(topology, name, box, unit) for quotes in [list(_killed(topology, ref_of(workload), unit))]
                   if quotes}  # fmt: skip
            if not hit:
                continue
            units = sorted(hit)
            yield Finding(
                cause="fault-injected",
                subject=ref_of(workload),
                affects=tuple(units[:20]),
                params={"what": name},
                quotes=(
                    *(quote for unit in units[:2] for quote in hit[unit][:2]),
                    quote_field(ref_of(workload), "image", text(box, "image")),
                ),
                statement=f"A fault is put in on purpose by {ref_of(workload)}: {name} kills pods at random, of"
                f" {', '.join(map(str, units[:4]))} among others. What suffers there suffers from that.",
            )


def _words(box: Mapping[str, Any]) -> list[str]:
    return [str(one) for field in ("command", "args") for one in items(box, field)]


def _is_dry(topology: Topology, name: str, box: Mapping[str, Any], killer: Ref) -> bool:
    """chaoskube kills nothing unless it is told --no-dry-run; kube-monkey by its configuration, which only its log repeats."""
    if name == "chaoskube":
        return "--no-dry-run" not in _words(box)
    return any("dry" in line.lower() and "true" in line.lower() for log in topology.logs_of(killer)
               for line in log.text[:20_000].splitlines())  # fmt: skip


def _is_aimed_at(topology: Topology, name: str, box: Mapping[str, Any], unit: Ref) -> bool:
    manifest = topology.objects[unit]
    if name == "kube-monkey":
        return labels_of(manifest).get("kube-monkey/enabled") == "enabled"
    told = dict(word.lstrip("-").split("=", 1) for word in _words(box) if word.startswith("--") and "=" in word)
    spaces, labels = told.get("namespaces", ""), told.get("labels", "")
    if spaces and not _chosen(spaces, unit.namespace):
        return False
    return not labels or any(_bears(pod, labels) for pod in live_pods(topology, unit))


def _chosen(said: str, space: str) -> bool:
    """ "a,b" takes these, "!a" all but this one."""
    names = [one.strip() for one in said.split(",") if one.strip()]
    no = {one[1:] for one in names if one.startswith("!")}
    yes = {one for one in names if not one.startswith("!")}
    return space not in no and (not yes or space in yes)


def _bears(pod: Manifest, said: str) -> bool:
    labels = labels_of(pod)
    pairs = [one.partition("=") for one in said.split(",")]
    return all(labels.get(key.strip()) == value.strip() if mark else key.strip() in labels for key, mark, value in pairs)


def _killed(topology: Topology, killer: Ref, unit: Ref) -> Iterator[Quote]:
    """Events of its pods that were ended, and the killer's own word of it, within the hour."""
    names = {ref_of(pod).name for pod in live_pods(topology, unit)}
    for event in topology.events_of_unit(unit):
        if event.reason == "Killing" and event.about.name not in names and _is_recent(topology, event):
            yield quote_event(event)
    for log in topology.logs_of(killer):
        for line in index_of(topology, log).lines_with(_NEEDLES):
            when = time_of(line)
            if (
                _DID.search(line)
                and re.search(rf"\b{re.escape(unit.name)}\b", line)
                and (when is None or topology.now - when <= WITHIN)
            ):
                yield quote_log(Ref("Pod", log.namespace, log.pod), log.container, line, when)


def _is_recent(topology: Topology, event: Happening) -> bool:
    return event.last is None or topology.now - event.last <= WITHIN

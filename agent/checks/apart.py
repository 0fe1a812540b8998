"""One workload, or one pod, that is apart from all others: it alone cannot resolve names, its clock is another, its image is not
what its owner wants. What only sits in one network or time namespace shows nowhere else."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from agent.checks.dns import dns_pods, dns_troubles
from agent.checks.registry import check, earliest, quote_field
from agent.checks.told import sayings
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Manifest, Ref
from agent.signals.connections import ConnectionTrouble
from agent.signals.logs import started_lately
from agent.topology import Topology, pod_spec_of
from agent.topology.dns import resolver_of
from agent.topology.fields import controller_of, created_at, field_writes, items, labels_of, mapping, moment, number, ref_of, text
from agent.topology.pods import containers, is_finished, is_ready, unready_since

OFF = timedelta(minutes=5)
SETTLES = timedelta(seconds=30)  # after a pod was made
_NOT_NOW = re.compile(
    r"current time (?P<own>\d{4}-\d\d-\d\dT[\d:]{8}(?:\.\d+)?Z?) is (?P<side>before|after) (?P<bound>\d{4}-\d\d-\d\dT[\d:]{8}Z?)"
)


@check("workload-lookups-failing", weight=0.8)
def resolves_nothing(topology: Topology) -> Iterator[Finding]:
    """One workload resolves neither Services that exist nor names outside, while the cluster's DNS is well and nobody else
    complains."""
    if any(not is_ready(pod) for pod in dns_pods(topology)):
        return
    asked: dict[Ref, list[ConnectionTrouble]] = {}
    quotes: dict[Ref, Quote] = {}
    for unit, trouble, quote in dns_troubles(topology):
        if unit in topology.objects and started_lately(trouble.last, topology.now):
            asked.setdefault(unit, []).append(trouble)
            quotes.setdefault(unit, quote)
    real = {
        unit for unit, ones in asked.items() if any(topology.host(one.host, unit.namespace) in topology.objects for one in ones)
    }
    if len(real) != 1:
        return  # several: it is the cluster's DNS, or the way there
    (unit,) = real
    hosts = sorted({one.host for one in asked[unit]})
    if len(hosts) < 2 or resolver_of(topology, pod_spec_of(topology.objects[unit])) != "cluster":
        return
    yield Finding(
        cause="workload-lookups-failing",
        subject=unit,
        since=min((one.first.at for one in asked[unit] if one.first.at is not None), default=None),
        params={"hosts": [*hosts[:10]]},
        quotes=(quotes[unit],),
        statement=f"{unit} resolves no names ({', '.join(hosts[:4])}), Services that exist among them, while the cluster's DNS is"
        " well and nobody else complains: something between this workload and DNS (its resolv.conf, a sidecar, its network).",
    )


@check("workload-clock-off", weight=0.9)
def lives_in_another_time(topology: Topology) -> Iterator[Finding]:
    """A certificate that is valid now is called not valid yet, or no more, with the time that the program takes for now."""
    for one in sayings(topology, _NOT_NOW, ("current time",)):
        own, bound = (moment(one.match[name].partition(".")[0].rstrip("Z") + "Z") for name in ("own", "bound"))
        then = one.quote.at or topology.now  # a line is as old as it is
        if own is None or bound is None or one.unit not in topology.objects or abs(own - then) < OFF:
            continue
        if (then < bound) if one.match["side"] == "before" else (then > bound):
            continue  # it is so by everybody's clock
        off = f"{'behind' if own < then else 'ahead of'} the cluster's by {_span(abs(own - then))}"
        yield Finding(
            cause="workload-clock-off",
            subject=one.unit,
            since=one.first,
            params={"seconds": int((own - then).total_seconds())},
            quotes=(one.quote,),
            statement=f"{one.unit} takes {own:%Y-%m-%d %H:%M:%S}Z for now, {off}: certificates and tokens that are valid are not"
            " valid for it.",
        )


def _span(off: timedelta) -> str:
    return f"{off.days} days" if off.days > 1 else f"{off.total_seconds() / 3600:.1f} hours"


@check("image-changed-in-place", weight=0.9)
def runs_another_program(topology: Topology) -> Iterator[Finding]:
    """A pod that is not ready and whose image is another program than its owner's template says, and that was another before:
    somebody changed it in the pod. A mirror of the registry, or another tag, is the same program; what an admission webhook put
    in from the start ("auto" of a mesh's gateway), and what is left of an earlier template, was changed by nobody."""
    found: dict[Ref, list[tuple[Ref, str, str, datetime | None]]] = {}
    for pod in topology.of_kind("Pod"):
        if is_ready(pod) or is_finished(pod):
            continue
        owner = controller_of(pod)
        made_of = topology.objects.get(owner, {}) if owner is not None else {}
        template = pod_spec_of(made_of) if not _is_earlier(pod, made_of) else {}
        wanted = {text(one, "name"): text(one, "image") for one in containers(template)}
        for one in containers(pod_spec_of(pod)):
            image, want = text(one, "image"), wanted.get(text(one, "name"), "")
            if want and image and _program(image) != _program(want) and _was_another(topology, pod, text(one, "name")):
                found.setdefault(topology.unit(ref_of(pod)), []).append((ref_of(pod), image, want, unready_since(pod)))
                break
    for unit, ones in sorted(found.items()):
        ref, image, want, _ = ones[0]
        many = f"{len(ones)} pods of {unit} run" if len(ones) > 1 else f"{ref} runs"
        yield Finding(
            cause="image-changed-in-place",
            subject=ref,
            affects=(unit, *(pod for pod, _, _, _ in ones[1:])),
            since=earliest(*(since for _, _, _, since in ones)),
            params={"image": image, "wanted": want, "pods": [f"Pod/{one.namespace}/{one.name}" for one, _, _, _ in ones[:10]]},
            quotes=tuple(quote_field(one, "spec", f"runs {has}, its owner wants {wants}") for one, has, wants, _ in ones[:3]),
            statement=f"{many} {image}, while {unit} wants {want}: somebody changed the image in the pod itself, so another"
            " program runs.",
        )


def _is_earlier(pod: Manifest, owner: Manifest) -> bool:
    """Whether the pod is of another template than the one that its StatefulSet or DaemonSet has by now."""
    revision, latest = labels_of(pod).get("controller-revision-hash", ""), text(owner, "status", "updateRevision")
    if revision and latest:
        return revision != latest
    status = mapping(owner, "status")
    wants = number(status, "desiredNumberScheduled")
    return text(owner, "kind") == "DaemonSet" and number(status, "updatedNumberScheduled") < wants


def _was_another(topology: Topology, pod: Manifest, name: str) -> bool:
    """Whether the container ran another image before: somebody wrote it after the pod was made; where nobody kept who wrote what,
    the kubelet ended the container for it, or it runs not for the first time."""
    made, writes = created_at(pod), list(field_writes(pod))
    if made is not None and writes:
        return any(
            when - made > SETTLES and "f:image" in mapping(fields, "f:spec", "f:containers", f'k:{{"name":"{name}"}}')
            for _, when, fields in writes
        )
    if any("definition changed" in event.message for event in topology.events_about(ref_of(pod))):
        return True
    boxes = [one for one in items(pod, "status", "containerStatuses") if text(one, "name") == name]
    return any(number(one, "restartCount") or mapping(one, "lastState") for one in boxes)


def _program(image: str) -> str:
    """The last part of the repository, without tag and digest."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]

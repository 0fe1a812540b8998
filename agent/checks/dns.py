"""The cluster's DNS itself: down, misconfigured, looping, cut off from its upstream, flooded with names that do not exist."""

import re
from collections.abc import Iterator
from datetime import datetime

from agent.checks.callers import log_troubles
from agent.checks.registry import check, earliest, quote_field, quote_log
from agent.checks.told import LATELY
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Manifest, Ref
from agent.signals.connections import ConnectionTrouble
from agent.signals.logs import time_of
from agent.signals.readings import growth, named
from agent.topology import Topology, pod_spec_of
from agent.topology.backends import backend, down_since
from agent.topology.dns import SPACES, cluster_dns
from agent.topology.fields import field_writes, items, labels_of, ref_of, text
from agent.topology.pods import is_ready

_PARSING = re.compile(
    r"Corefile:\d+ - Error during parsing: [^\n]+|plugin/\w+: (?:unable to|not|unknown)[^\n]*(?:directive|property)[^\n]*", re.I
)
_LOOP = re.compile(r"plugin/loop: Loop \([^)]*\) detected[^\n]*")
_UPSTREAM = re.compile(
    r"plugin/errors: \d+ (\S+) \w+: (?:read|write|dial) \w+ [^\n]*->([\d.a-f:]+):53: [^\n]*(?:timeout|refused|unreachable)"
)


def dns_troubles(topology: Topology) -> list[tuple[Ref, ConnectionTrouble, Quote]]:
    """(workload, trouble, quote) of names that did not resolve."""
    return [one for one in log_troubles(topology) if one[1].kind == "dns" and one[0] in topology.objects]


def dns_pods(topology: Topology) -> list[Manifest]:
    """Pods of the cluster's DNS, ready or not."""
    service = cluster_dns(topology)
    chosen = topology.selected_by(service) if service is not None else []
    labelled = [pod for space in SPACES for pod in topology.pods_in.get(space, ()) if labels_of(pod).get("k8s-app") == "kube-dns"]
    return chosen or labelled


@check("cluster-dns-down", weight=0.85, wide=True)
def nobody_answers(topology: Topology) -> Iterator[Finding]:
    """The Service of the cluster's DNS has no ready pod."""
    service = cluster_dns(topology)
    if service is None:
        return
    behind = backend(topology, ref_of(service))
    if not behind.is_down:
        return
    told = dns_troubles(topology)
    units = tuple(dict.fromkeys(unit for unit, _, _ in told))
    who = f"; {', '.join(map(str, units[:4]))} cannot resolve names" if units else ""
    yield Finding(
        cause="cluster-dns-down",
        subject=behind.workload or ref_of(service),
        affects=(ref_of(service), *units),
        since=down_since(topology, behind) or earliest(*(trouble.first.at for _, trouble, _ in told)),
        quotes=(*(quote for _, _, quote in told[:2]), quote_field(ref_of(service), "endpoints", behind.words)),
        statement=f"The cluster's DNS does not answer, so no name resolves in the cluster: {behind.words}{who}.",
    )


@check("dns-misconfigured", weight=0.97, wide=True)
@check("dns-loop", weight=0.97, wide=True)
def says_what_is_wrong(topology: Topology) -> Iterator[Finding]:
    """CoreDNS refuses its configuration (Corefile), or finds that its upstream leads back to itself."""
    pods = dns_pods(topology)
    for cause, pattern in (("dns-misconfigured", _PARSING), ("dns-loop", _LOOP)):
        told = _told(topology, pods, pattern)
        if told is None:
            continue
        match, quote = told
        config = _configuration(topology, pods)
        subject = config if config is not None else topology.unit(ref_of(pods[0]))
        up = [pod for pod in pods if is_ready(pod)]
        state = "the pods that run still use the old one, and the next that starts fails" if up else "no DNS pod is ready"
        words = match[0].strip().rstrip(".")
        yield Finding(
            cause=cause,
            subject=subject,
            affects=tuple(dict.fromkeys((topology.unit(ref_of(pods[0])), *(unit for unit, _, _ in dns_troubles(topology))))),
            since=_written(topology, config) or quote.at,
            quotes=(quote,),
            params={"said": words},
            statement=f"The cluster's DNS does not take its configuration in {subject}: {words}; {state}."
            if cause == "dns-misconfigured"
            else f"The cluster's DNS asks itself in a loop and stops ({words}): what {subject} forwards to leads back to it.",
        )


def _told(topology: Topology, pods: list[Manifest], pattern: re.Pattern[str]) -> tuple[re.Match[str], Quote] | None:
    """The newest line of the DNS pods that matches, if it is of this run or lately."""
    found: list[tuple[datetime, str, re.Match[str], Quote]] = []
    for pod in pods:
        for log in topology.logs.get(ref_of(pod), ()):
            for line in log.text.splitlines()[-400:]:
                match, when = pattern.search(line), time_of(line)
                if match is not None and (when is None or topology.now - when <= 4 * LATELY):
                    quote = quote_log(ref_of(pod), log.container, line, when, previous=log.previous)
                    found.append((when or topology.now, line, match, quote))
    if not found:
        return None
    _, _, match, quote = max(found, key=lambda one: (one[0], one[1]))
    return match, quote


def _configuration(topology: Topology, pods: list[Manifest]) -> Ref | None:
    """The ConfigMap that holds the Corefile, by the volumes of the DNS pods."""
    for pod in pods:
        for volume in items(pod_spec_of(pod), "volumes"):
            name = text(volume, "configMap", "name")
            keys = [text(item, "key") for item in items(volume, "configMap", "items")]
            if name and (not keys or "Corefile" in keys) and name != "kube-root-ca.crt":
                return Ref("ConfigMap", text(pod, "metadata", "namespace"), name)
    return None


def _written(topology: Topology, ref: Ref | None) -> datetime | None:
    manifest = topology.objects.get(ref) if ref is not None else None
    return max((when for _, when, _ in field_writes(manifest)), default=None) if manifest is not None else None


@check("dns-upstream-failing", weight=0.8)
def upstream_fails(topology: Topology) -> Iterator[Finding]:
    """The servers that the cluster's DNS forwards to do not answer: names outside the cluster do not resolve."""
    pods = dns_pods(topology)
    servers: dict[str, int] = {}
    quotes: list[Quote] = []
    for pod in pods:
        for log in topology.logs.get(ref_of(pod), ()):
            for line in log.text.splitlines()[-2000:]:
                match, when = _UPSTREAM.search(line), time_of(line)
                if match is not None and (when is None or topology.now - when <= LATELY):
                    servers[match[2]] = servers.get(match[2], 0) + 1
                    quotes = [quote_log(ref_of(pod), log.container, line, when)]
    broken = sum(growth(one) for one in named(topology.series, "coredns_forward_healthcheck_broken_total"))
    answers = named(topology.series, "coredns_dns_responses_total")
    failed = sum(growth(one) for one in answers if one.labels.get("rcode") == "SERVFAIL")
    share = failed / max(sum(growth(one) for one in answers), 1.0)
    if sum(servers.values()) < 3 and broken <= 0 and not (failed > 50 and share > 0.1):
        return
    service = cluster_dns(topology)
    subject = (
        topology.unit(ref_of(pods[0]))
        if pods
        else ref_of(service)
        if service is not None
        else Ref("Service", SPACES[0], "kube-dns")
    )
    outside = [
        (unit, quote) for unit, trouble, quote in dns_troubles(topology) if topology.host(trouble.host, unit.namespace) is None
    ]
    who = f" ({', '.join(sorted(servers))})" if servers else ""
    how = f", {share:.0%} of its answers are SERVFAIL" if failed > 50 else ""
    metrics = (quote_field(subject, "metrics", f"SERVFAIL {failed:.0f}, broken health checks {broken:.0f} in ten minutes"),)
    yield Finding(
        cause="dns-upstream-failing",
        subject=subject,
        affects=tuple(dict.fromkeys(unit for unit, _ in outside)),
        since=quotes[0].at if quotes else None,
        quotes=(*quotes, *(quote for _, quote in outside[:2]), *(metrics if failed or broken else ())),
        params={"servers": [*sorted(servers)], "servfail_share": round(share, 3)},
        statement=f"The DNS servers that the cluster's DNS forwards to{who} do not answer{how}, so names outside the cluster do"
        " not resolve; names of Services do.",
    )


@check("nxdomain-storm", weight=0.5)
def many_wrong_names(topology: Topology) -> Iterator[Finding]:
    """Answers "no such name" have become many times what they were: a Service that was deleted, or a client with a wrong name.
    A steady share of them is usual (search domains)."""
    answers = named(topology.series, "coredns_dns_responses_total")
    wrong = [one for one in answers if one.labels.get("rcode") == "NXDOMAIN"]
    now, before = sum(growth(one) for one in wrong), sum(growth(one, ending=600) for one in wrong)
    share = now / max(sum(growth(one) for one in answers), 1.0)
    service = cluster_dns(topology)
    if now < 3000 or before <= 0 or now < 5 * before or share < 0.5:
        return
    subject = ref_of(service) if service is not None else Ref("Service", SPACES[0], "kube-dns")
    yield Finding(
        cause="nxdomain-storm",
        subject=subject,
        quotes=(
            quote_field(subject, "metrics", f"NXDOMAIN {now:.0f} in ten minutes, {before:.0f} in the ten before; {share:.0%}"),
        ),
        params={"share": round(share, 3), "times": round(now / before, 1)},
        statement=f"The cluster's DNS answers NXDOMAIN {now / before:.0f} times as often as ten minutes before ({share:.0%} of"
        " all answers): something asks for a name that does not exist, again and again.",
    )

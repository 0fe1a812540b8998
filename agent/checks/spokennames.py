"""What only a caller's own log tells of whom it calls: names that no Service has and that no configuration in view holds (a
Secret's values are not read), hosts outside that answer with 5xx, peers whose clock differs."""

import re
from collections.abc import Iterator

from agent.checks.applications import told
from agent.checks.callers import log_troubles
from agent.checks.config import near
from agent.checks.containers import rollback_params
from agent.checks.network import misnamed
from agent.checks.outside import is_outside
from agent.checks.registry import check
from agent.domain.finding import Finding
from agent.signals.connections import target_of
from agent.signals.logs import is_quiet, started_lately
from agent.signals.masking import safe
from agent.topology import Topology
from agent.topology.calls import service_of
from agent.topology.fields import name_of
from agent.topology.workloads import rollback

LATELY = 900  # s; the longest silence of a container that waits to be started again
ENOUGH = 5  # failed requests from which a host outside is called failing
_STATUS = re.compile(
    r"\b(?:status(?:_?code)?|code|http|response|returned|answered|got)\b[\"'=: ]{1,4}(50[0234])\b"
    r"|\b(50[0234]) (?:internal server error|bad gateway|service unavailable|gateway time-?out)",
    re.I,
)
_SKEWED = re.compile(
    r"token used before issued|\biat\b[^\n]{0,30}in the future|token (?:is )?not (?:yet valid|valid yet)|RequestTimeTooSkewed"
    r"|difference between the request time and the (?:current|server)[^\n]{0,20} time|KRB_AP_ERR_SKEW"
    r"|clock skew (?:too great|detected)"
    r"|issued in the future|signature (?:not yet current|expired: [^\n]{0,60} is now earlier)",
    re.I,
)


@check("wrong-service-name", weight=0.9)
def calls_a_name_that_nobody_has(topology: Topology) -> Iterator[Finding]:
    """A name of one word, or of a namespace of this cluster, that does not resolve and that no Service has, while one is called
    all but the same: the address stands where nobody may look, most often in a Secret."""
    configured = {(unit, one.service) for one in misnamed(topology) for unit in one.users}
    for unit, trouble, quote in log_troubles(topology):
        service = service_of(trouble.host, unit.namespace)
        if service is None or service in topology.objects or unit not in topology.objects or (unit, service) in configured:
            continue
        names = [name_of(one) for one in topology.in_namespace("Service", service.namespace)]
        like, sure = near(service.name, names), trouble.kind == "dns" or "." not in trouble.host
        if not sure or not like or not topology.saw("Service") or not started_lately(trouble.last, topology.now, seconds=LATELY):
            continue
        back = rollback(topology, unit, trouble.first.at)
        yield Finding(
            cause="wrong-service-name",
            subject=unit,
            since=trouble.first.at,
            params={"host": trouble.host, "candidate": like, **rollback_params(back)},
            quotes=(quote,),
            statement=f"{unit} calls {trouble.host}, and there is no Service {service.name} in namespace"
            f" {service.namespace}; there is {like}. No configuration in view holds that name: it may stand in a Secret.",
        )


@check("external-dependency-failing", weight=0.5)
def answers_with_errors(topology: Topology) -> Iterator[Finding]:
    """A host outside of the cluster that answers with 500, 502, 503 or 504."""
    for one in told(topology, _STATUS, ("500", "502", "503", "504"), at_least=ENOUGH):
        target = target_of(one.last.text[:1000])
        if target is None or is_quiet(one.last.text) or not is_outside(topology, target[0], one.unit):
            continue
        status, when = one.match[1] or one.match[2], f" since {one.first.at:%H:%M:%SZ}" if one.first.at else ""
        yield Finding(
            cause="external-dependency-failing",
            subject=one.unit,
            since=one.first.at,
            params={"host": target[0], "port": target[1], "kind": status, "callers": [str(one.unit)], "count": one.count},
            quotes=one.quotes[-1:],
            statement=f"{one.unit} cannot use {target[0]}, which is outside this cluster: it answers with {status}"
            f" ({one.count} times{when}).",
        )


@check("workload-clock-off", weight=0.8)
def others_live_in_another_time(topology: Topology) -> Iterator[Finding]:
    """Tokens and signatures that are refused because they are of the future, or too far from now: two clocks differ."""
    for one in told(topology, _SKEWED, ("iat", "issued", "valid", "skew", "request time", "current", "now earlier"), at_least=2):
        if is_quiet(one.last.text):
            continue
        yield Finding(
            cause="workload-clock-off",
            subject=one.unit,
            since=one.first.at,
            params={"count": one.count},
            quotes=one.quotes[-1:],
            statement=f"{one.unit} and whoever it deals with do not agree on the time, so tokens are refused that are of the"
            f" future: {safe(one.last.text, limit=240).rstrip('. ')} ({one.count} times). One of the two clocks is off.",
        )

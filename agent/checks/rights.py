"""Refused rights: who was refused what, in logs and events, held against RBAC as it stands: what is missing, and where."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from agent.checks.config import near
from agent.checks.containers import rollback_params
from agent.checks.registry import check, quote_event, quote_field, quote_log
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Ref
from agent.signals.logs import Line, started_lately, time_of
from agent.topology import Topology, pod_spec_of
from agent.topology.fields import name_of, text
from agent.topology.resources import is_cluster_scoped
from agent.topology.rights import Miss, can, nearest, subject_named
from agent.topology.roles import Request, Subject
from agent.topology.workloads import rollback
from sidecar.contract import Json

_NEEDLE = "forbidden: user"
_FORBIDDEN = re.compile(
    r'forbidden: User \\?"(?P<user>[^"\\]+)\\?" cannot (?P<verb>[\w*]+) '
    r'(?:resource \\?"(?P<resource>[\w./*-]+)\\?"(?: in API group \\?"(?P<group>[\w.-]*)\\?")?'
    r'(?: in the namespace \\?"(?P<namespace>[\w-]+)\\?"| at the (?P<everywhere>cluster scope))?'
    r'|path \\?"(?P<path>[^"\\]+)\\?")'
)
_NAMED = re.compile(r'\\?"(?P<name>[\w.:-]+)\\?" is $')
LATELY = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """One refusal as it was told: of whom, to do what, the workload that said so, and the first time."""

    unit: Ref
    subject: Subject
    request: Request
    first: Line
    quote: Quote


def refusals(topology: Topology) -> Iterator[Refused]:
    """Every (workload, subject, request) that the API server lately refused, from logs and from events."""
    found: dict[tuple[Ref, str, str], Refused] = {}
    for one in (*_in_logs(topology), *_in_events(topology)):
        key = (one.unit, one.subject.username, str(one.request))
        if key not in found:
            found[key] = one
    yield from (found[key] for key in sorted(found))


def _in_logs(topology: Topology) -> Iterator[Refused]:
    for pod, logs in topology.logs.items():
        unit = topology.unit_of_name(pod)
        for log in logs:
            if unit not in topology.objects or _NEEDLE not in log.text.lower():
                continue
            told = [line for line in log.text.splitlines() if _NEEDLE in line.lower()]
            last: dict[str, str] = {}
            for line in told:
                for match in _FORBIDDEN.finditer(line):
                    last[match[0]] = line
            for words, line in last.items():
                found, latest = _FORBIDDEN.search(line, line.index(words)), Line(line, time_of(line))
                if found is not None and started_lately(latest, topology.now, seconds=LATELY.total_seconds()):
                    first = next(one for one in told if words in one)
                    quote = quote_log(pod, log.container, line, latest.at, previous=log.previous)
                    subject, request = read_refusal(line, found)
                    yield Refused(unit=unit, subject=subject, request=request, first=Line(first, time_of(first)), quote=quote)


def _in_events(topology: Topology) -> Iterator[Refused]:
    for about, event in topology.warnings():
        match = _FORBIDDEN.search(event.message)
        if match is None or (event.last is not None and topology.now - event.last > LATELY):
            continue
        subject, request = read_refusal(event.message, match)
        unit = topology.unit_of_name(about)
        first = Line(event.message, event.first)
        if unit in topology.objects:
            yield Refused(unit=unit, subject=subject, request=request, first=first, quote=quote_event(event))


def read_refusal(line: str, match: re.Match[str]) -> tuple[Subject, Request]:
    """Subject and request of the API server's sentence `... is forbidden: User "..." cannot get resource "..." ...`."""
    name, subject = _NAMED.search(line[: match.start()]), subject_named(match["user"])
    namespace = match["namespace"] or ""
    if not namespace and not match["everywhere"] and match["resource"] and not is_cluster_scoped(match["resource"]):
        namespace = subject.namespace  # the sentence was cut short: most ask about their own namespace
    request = Request(
        verb=match["verb"],
        resource=match["resource"] or "",
        group=match["group"] or "",
        namespace=namespace,
        name=name["name"] if name is not None and match["verb"] not in ("list", "watch", "create") else "",
        path=match["path"] or "",
    )
    return subject, request


@check("rbac-forbidden", weight=0.9)
def forbidden(topology: Topology) -> Iterator[Finding]:
    """The API server refuses a subject, and RBAC as it stands agrees. Rights are given by people, never here."""
    worst: dict[tuple[Ref, str], Finding] = {}
    for one in refusals(topology):
        finding = _finding(topology, one)
        known = worst.get((finding.subject, finding.state))
        if known is None:
            worst[finding.subject, finding.state] = finding
    yield from worst.values()


def _finding(topology: Topology, one: Refused) -> Finding:
    request = one.request
    verdict = can(topology, one.subject, request)
    whole = f"{one.subject} may not {request}" if one.subject.kind != "ServiceAccount" else _account_words(one.subject, request)
    params: dict[str, Json] = {
        "service_account": f"{one.subject.namespace}/{one.subject.name}" if one.subject.namespace else one.subject.name,
        "verb": request.verb,
        "resource": request.resource or request.path,
        "group": request.group,
        "namespace": request.namespace,
    }
    if verdict.allowed:
        by = verdict.grants[0]
        return Finding(
            cause="rbac-forbidden",
            subject=one.unit,
            state="recovered",
            since=one.first.at,
            quotes=(one.quote,),
            params=params,
            statement=f"{one.unit} was refused: {whole}; by now {by.binding} with {by.role} gives that right.",
        )
    if verdict.unseen:
        return Finding(
            cause="rbac-forbidden",
            subject=one.unit,
            since=one.first.at,
            quotes=(one.quote,),
            params={**params, "lack": "unseen"},
            statement=f"{one.unit} is refused by the API server: {whole} (which roles and bindings there are was not seen).",
        )
    miss = nearest(topology, one.subject, request)
    subject, why = _blame(topology, one, miss, request)
    params |= {"lack": miss.lack, "role": str(miss.role or ""), "binding": str(miss.binding or "")}
    swapped = _account_not_used(topology, one, request)
    if swapped and miss.lack in ("nothing", "unbound-role"):
        subject, params["lack"], params["suggested_account"] = one.unit, "account-not-used", swapped
        params |= rollback_params(rollback(topology, one.unit, one.first.at))
        why = (
            f"its pods run as ServiceAccount {one.subject.name}, while ServiceAccount {swapped} of the namespace has the right"
            f" (spec.serviceAccountName names {'another' if one.subject.name != 'default' else 'none'})"
        )
    quotes = [one.quote]
    if miss.binding is not None:
        quotes.append(quote_field(miss.binding, "subjects and roleRef", f"{miss.role}; {miss.subject or one.subject}"))
    if miss.has and miss.role is not None:
        quotes.append(quote_field(miss.role, "rules", miss.has))
    return Finding(
        cause="rbac-forbidden",
        subject=subject,
        affects=() if subject == one.unit else (one.unit,),
        since=one.first.at,
        quotes=tuple(quotes),
        params=params,
        statement=f"{one.unit} is refused by the API server: {whole}, because {why}.",
    )


def _account_words(subject: Subject, request: Request) -> str:
    return f"ServiceAccount {subject.namespace}/{subject.name} cannot {request}"


def _blame(topology: Topology, one: Refused, miss: Miss, request: Request) -> tuple[Ref, str]:
    match miss.lack:
        case "other-subject" if miss.binding is not None:
            return miss.binding, f"{miss.binding}, which would give it by {miss.role}, names {miss.subject} instead"
        case "role-missing" if miss.binding is not None and miss.role is not None:
            kinds = topology.in_namespace(miss.role.kind, miss.role.namespace)
            like = near(miss.role.name, [name_of(found) for found in kinds])
            there = f" (there is {like})" if like else ""
            return (miss.binding if like else miss.role), f"{miss.binding} names {miss.role}, which does not exist{there}"
        case "role-lacks-right" if miss.role is not None:
            only = (
                f", which has only: {miss.has}" if miss.has else f", which says nothing about {request.resource or request.path}"
            )
            return miss.role, f"{miss.binding} gives it {miss.role}{only}"
        case "other-namespace" if miss.binding is not None:
            where = f"in namespace {request.namespace}" if request.namespace else "in the whole cluster"
            return one.unit, f"{miss.binding} gives that right in namespace {miss.binding.namespace} only, not {where}"
        case "unbound-role" if miss.role is not None:
            return one.unit, f"no binding gives it {miss.role}, which has that right"
        case _:
            return one.unit, "no binding gives it that right"


def _account_not_used(topology: Topology, one: Refused, request: Request) -> str:
    """Another ServiceAccount of the namespace that has the right and whose name is the workload's: it was made for it."""
    if one.subject.kind != "ServiceAccount" or one.unit.namespace != one.subject.namespace:
        return ""
    used = text(pod_spec_of(topology.objects.get(one.unit, {})), "serviceAccountName") or "default"
    others = [name_of(found) for found in topology.in_namespace("ServiceAccount", one.unit.namespace)]
    able = [
        name
        for name in sorted(others)
        if name not in ("default", one.subject.name)
        and can(topology, Subject("ServiceAccount", one.unit.namespace, name), request).allowed
    ]
    if used != one.subject.name or not able:
        return ""
    return near(one.unit.name, able) or (able[0] if len(able) == 1 and one.subject.name == "default" else "")

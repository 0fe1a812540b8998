"""Webhooks that the API server has to ask (admission, conversion of custom resources): backends, certificates, refusals."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from agent.checks.containers import rollback_params
from agent.checks.policies import pod_port
from agent.checks.registry import check, earliest, quote_event, quote_field, quote_log
from agent.checks.rollouts import refused_units
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Ref
from agent.signals.logs import time_of
from agent.topology import Topology
from agent.topology.backends import Backend, backend, down_since, offers
from agent.topology.certificates import all_over, read_bundle
from agent.topology.fields import created_at, items, mapping, name_of, number, ref_of, text
from agent.topology.policies import Refusal, allows, end_of, outside
from agent.topology.workloads import rollback
from sidecar.contract import Json

CONFIGURATIONS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
_FAILED = re.compile(r'failed calling webhook \\?"([^"\\]+)\\?": ?(.*)', re.S)
_CONVERSION = re.compile(r"conversion webhook for (\S+, Kind=\w+) failed: ?(.*)", re.S)
_DENIED = re.compile(r'admission webhook \\?"([^"\\]+)\\?" denied the request(?:: ?(.*))?', re.S)
_POLICY = re.compile(r"ValidatingAdmissionPolicy '([^']+)' with binding '([^']+)' denied request(?:: ?(.*))?", re.S)
_CERTIFICATE = re.compile(r"x509|certificate|tls:", re.I)
_LATE = re.compile(r"context deadline exceeded|timeout(?!=)|timed out", re.I)
LATELY = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One webhook: who configures it, its name, the Service that answers (None for a URL), and what happens when it does not."""

    holder: Ref
    name: str
    service: Ref | None
    port: int
    bundle: str
    ignored: bool  # failurePolicy Ignore: requests pass without it
    timeout: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A call that failed as an event or log told it. `units` are those whose request it was."""

    hook: str
    reason: str
    units: tuple[Ref, ...]
    first: datetime | None
    quotes: tuple[Quote, ...]


def hooks(topology: Topology) -> list[Hook]:
    """Every admission webhook."""
    return [
        _hook(ref_of(one), text(hook, "name"), mapping(hook, "clientConfig"), hook)
        for one in topology.of_kind(*CONFIGURATIONS)
        for hook in items(one, "webhooks")
        if isinstance(hook, Mapping)
    ]


def conversions(topology: Topology) -> list[Hook]:
    """Conversion webhooks, by the name of their CRD (plural.group)."""
    return [
        _hook(ref_of(one), name_of(one), mapping(one, "spec", "conversion", "webhook", "clientConfig"), {})
        for one in topology.of_kind("CustomResourceDefinition")
        if text(one, "spec", "conversion", "strategy") == "Webhook"
    ]


def _hook(holder: Ref, name: str, client: Mapping[str, Any], hook: Mapping[str, Any]) -> Hook:
    service = mapping(client, "service")
    return Hook(
        holder=holder,
        name=name,
        service=Ref("Service", text(service, "namespace"), text(service, "name")) if service else None,
        port=number(service, "port", default=443),
        bundle=text(client, "caBundle"),
        ignored=text(hook, "failurePolicy") == "Ignore",
        timeout=number(hook, "timeoutSeconds", default=10),
    )


def called_in_vain(topology: Topology) -> list[Hook]:
    """Webhooks whose calls lately failed."""
    failed, broken = failures(topology, _FAILED), failures(topology, _CONVERSION)
    named = [hook for hook in hooks(topology) if hook.name in failed]
    return named + (conversions(topology) if broken else [])


def failures(topology: Topology, pattern: re.Pattern[str]) -> dict[str, Failure]:
    """Calls of webhooks that lately failed, by webhook: from refused pods, from events of any object, and from logs."""
    found: dict[str, Failure] = {}
    for unit, events, said in refused_units(topology):
        match = pattern.search(said)
        if match is not None:
            _add(found, match, unit, earliest(*(event.first for event in events)), tuple(quote_event(one) for one in events[-1:]))
    for about, event in topology.warnings():
        match = pattern.search(event.message) if event.reason != "FailedCreate" else None
        if match is not None and event.last is not None and topology.now - event.last <= LATELY:
            _add(found, match, topology.unit_of_name(about), event.first, (quote_event(event),))
    for pod, logs in topology.logs.items():
        for log in logs:
            if "webhook" in log.text:
                _from_log(topology, found, pattern, pod, log.text, log.container)
    return dict(sorted(found.items()))


def _from_log(
    topology: Topology, found: dict[str, Failure], pattern: re.Pattern[str], pod: Ref, words: str, container: str
) -> None:
    told = [line for line in words.splitlines() if "webhook" in line and pattern.search(line)]
    if not told or topology.unit_of_name(pod) not in topology.objects:
        return
    last, match = told[-1], pattern.search(told[-1])
    if match is not None and topology.now - (time_of(last) or topology.now) <= LATELY:
        quote = quote_log(pod, container, last, time_of(last))
        _add(found, match, topology.unit_of_name(pod), time_of(told[0]), (quote,))


def _add(found: dict[str, Failure], match: re.Match[str], unit: Ref, first: datetime | None, quotes: tuple[Quote, ...]) -> None:
    known = found.get(match[1])
    found[match[1]] = Failure(
        hook=match[1],
        reason=known.reason if known else (match[match.lastindex or 1] or "").strip(),
        units=tuple(dict.fromkeys((*(known.units if known else ()), unit))),
        first=earliest(first, known.first if known else None),
        quotes=((known.quotes if known else ()) + quotes)[:3],
    )


@check("webhook-backend-missing", weight=0.95)
@check("webhook-backend-down", weight=0.5)
@check("webhook-certificate-invalid", weight=0.93)
@check("webhook-refuses", weight=0.9)
@check("networkpolicy-blocks", weight=0.94)
def webhook_breaks(topology: Topology) -> Iterator[Finding]:
    """An admission webhook that cannot answer: with failurePolicy Fail it stops every write that it is asked about."""
    failed = failures(topology, _FAILED)
    known = hooks(topology)
    for hook in known:
        yield from _judged(topology, hook, failed.get(hook.name), "Admission webhook")
    for name, failure in failed.items():
        if not any(hook.name == name for hook in known):
            yield _unknown(topology, name, failure)


@check("conversion-webhook-failing", weight=0.9)
def conversion_breaks(topology: Topology) -> Iterator[Finding]:
    """A CRD whose versions are converted by a webhook that cannot answer: no object of it can be read or written, and nothing
    that lists all kinds (deletion of namespaces, garbage collection) goes on."""
    failed = failures(topology, _CONVERSION)
    for hook in conversions(topology):
        crd = topology.objects[hook.holder]
        kind, group = text(crd, "spec", "names", "kind"), text(crd, "spec", "group")
        told = next((one for name, one in failed.items() if name.startswith(f"{group}/") and name.endswith(f"={kind}")), None)
        for finding in _judged(topology, hook, told, "Conversion webhook of"):
            if finding.cause == "networkpolicy-blocks":
                yield finding
                continue
            yield Finding(
                cause="conversion-webhook-failing",
                subject=finding.subject,
                affects=finding.affects,
                since=finding.since,
                quotes=finding.quotes,
                params={**finding.params, "kind": kind, "group": group},
                statement=finding.statement,
            )


def _judged(topology: Topology, hook: Hook, failure: Failure | None, what: str) -> Iterator[Finding]:
    behind = backend(topology, hook.service) if hook.service is not None else None
    units = failure.units if failure is not None else ()
    cause, why, quotes = "", "", list(failure.quotes if failure is not None else ())
    since = failure.first if failure is not None else None
    over = all_over(read_bundle(hook.bundle), topology.now)
    if behind is not None and behind.is_down:
        cause = "webhook-backend-missing" if behind.state in ("missing", "empty") else "webhook-backend-down"
        why = behind.words
        since = earliest(since, down_since(topology, behind))
        quotes.append(quote_field(hook.holder, f"webhook {hook.name}", f"calls {behind.service}, and {behind.words}"))
    elif (
        behind is not None
        and behind.state == "ready"
        and hook.service is not None
        and not offers(topology, hook.service, hook.port)
    ):
        cause, why = "webhook-backend-missing", f"{hook.service} does not offer port {hook.port}, which the webhook is called on"
    elif over is not None:
        cause = "webhook-certificate-invalid"
        why = f"its caBundle ended on {over.not_after:%Y-%m-%d} ({over.subject}), so no certificate of it is accepted"
        quotes.append(
            quote_field(hook.holder, f"webhook {hook.name} caBundle", f"{over.subject}, not after {over.not_after:%F %T}Z")
        )
    elif failure is not None and _CERTIFICATE.search(failure.reason):
        cause, why = "webhook-certificate-invalid", _bundle_words(hook, failure.reason)
    elif failure is not None:
        shut = _blocked(topology, hook, behind) if _LATE.search(failure.reason) else None
        if shut is not None:
            yield _shut_out(hook, failure, shut, what)
            return
        late = f"it does not answer within {hook.timeout} s" if _LATE.search(failure.reason) else "calling it fails"
        cause, why = "webhook-refuses", f"{late}: {failure.reason[:220].rstrip('. ')}"
    if not cause:
        return
    params: dict[str, Json] = {
        "webhook": hook.name,
        "service": f"{hook.service.namespace}/{hook.service.name}" if hook.service else "",
        "failure_policy": "Ignore" if hook.ignored else "Fail",
        "backend": f"{behind.workload.kind}/{behind.workload.namespace}/{behind.workload.name}"
        if behind and behind.workload
        else "",
    }
    who = f"requests for {', '.join(map(str, units))} fail" if units else "what it is asked about cannot be created or changed"
    then = "requests pass without it (failurePolicy: Ignore)" if hook.ignored and not units else who
    yield Finding(
        cause=cause,
        subject=hook.holder,
        affects=units,
        since=since or created_at(topology.objects[hook.holder]),
        quotes=tuple(quotes),
        params=params,
        statement=f"{what} {hook.name} ({hook.holder}) cannot answer, because {why}; {then}.",
    )


def _bundle_words(hook: Hook, reason: str) -> str:
    said = reason.rpartition("x509:")[2].strip() if "x509:" in reason else reason
    bundle = "it has no caBundle" if not hook.bundle else "its caBundle does not fit the certificate that it serves"
    return f"{bundle}: {said[:200].rstrip('. ')}"


def _blocked(topology: Topology, hook: Hook, behind: Backend | None) -> Refusal | None:
    """The policy that keeps everything but pods, and so the API server, out of the webhook's pods."""
    service = topology.objects.get(hook.service) if hook.service is not None else None
    for pod in [topology.objects.get(one) for one in (behind.pods[:1] if behind else ())]:
        port = pod_port(service, pod, hook.port) if service is not None and pod is not None else 0
        verdict = allows(topology, outside(), end_of(topology, pod), port) if pod is not None and port else None
        if verdict is not None and verdict.answer == "refused":
            return verdict.refusals[0]
    return None


def _shut_out(hook: Hook, failure: Failure, by: Refusal, what: str) -> Finding:
    units = ", ".join(map(str, failure.units))
    return Finding(
        cause="networkpolicy-blocks",
        subject=by.policy,
        affects=(hook.holder, *failure.units),
        since=failure.first,
        quotes=(*failure.quotes, quote_field(by.policy, "spec.ingress", by.words)),
        params={"direction": "ingress", "lack": by.lack, "target": str(hook.service), "caller": "the API server"},
        statement=f"{what} {hook.name} ({hook.holder}) does not answer in time, because {by.policy} does not let the API server"
        f" reach the pods behind {hook.service}: it {by.words}; requests for {units} fail.",
    )


def _unknown(topology: Topology, name: str, failure: Failure) -> Finding:
    """A webhook that failed and whose configuration was not read, or is gone by now."""
    return Finding(
        cause="webhook-refuses",
        subject=failure.units[0],
        affects=failure.units[1:],
        since=failure.first,
        quotes=failure.quotes,
        params={"webhook": name},
        statement=f"Admission webhook {name} cannot be called, so requests for {', '.join(map(str, failure.units))} fail:"
        f" {failure.reason[:250].rstrip('. ')}.",
    )


@check("admission-denied", weight=0.92)
def denied(topology: Topology) -> Iterator[Finding]:
    """An admission webhook or policy that answered, and said no to a workload's pods: its own words say what to change."""
    for unit, events, said in refused_units(topology):
        match, policy = _DENIED.search(said), _POLICY.search(said)
        if match is None and policy is None:
            continue
        who = f"Admission webhook {match[1]}" if match else f"ValidatingAdmissionPolicy {policy[1]}" if policy else ""
        why = (match[2] if match else policy[3] if policy else "") or ""
        yield Finding(
            cause="admission-denied",
            subject=unit,
            since=earliest(*(event.first for event in events)),
            quotes=tuple(quote_event(event) for event in events[-1:]),
            params={"by": (match or policy or [""])[1], **rollback_params(rollback(topology, unit, None))},
            statement=f"{who} denies the pods of {unit}: {' '.join(why.split())[:300].rstrip('. ')}.",
        )

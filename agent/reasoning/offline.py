"""The reasoner that needs no model: focus, topology, checks, ranking, and an answer in plain sentences."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from agent.checks import run
from agent.domain.finding import Diagnosis, Finding
from agent.domain.incident import Incident
from agent.domain.objects import Ref, Series
from agent.ports.cluster import Gap, Observed
from agent.reasoning.alerted import in_many_clusters
from agent.reasoning.focus import Focus, focus_on
from agent.reasoning.judging import Case, judge, led_by
from agent.reasoning.questioned import of_question
from agent.reasoning.questions import understand
from agent.reasoning.spaces import namespaces_named
from agent.reasoning.testifying import testified
from agent.reasoning.ties import ties
from agent.signals.masking import mask, safe
from agent.topology import Topology, build
from sidecar.contract import Json

SYSTEM = ("kube-system", "kube-public", "kube-node-lease")
Look = Callable[[Topology], Iterable[Finding]]


class OfflineReasoner:
    """Implements agent.ports.Reasoner. Same input, same answer, whatever the order of the objects. `own`: causes that are
    looked for beside those of the checks, such as those of runbook pages."""

    def __init__(self, own: Look | None = None) -> None:
        self._own = own

    def namespaces_of(self, incident: Incident, known: tuple[str, ...]) -> tuple[str, ...]:
        return namespaces_named(incident, known) or known

    def topology(self, observed: Observed, series: tuple[Series, ...] = ()) -> Topology:
        unseen = {gap.what.split()[0]: gap.why for gap in observed.gaps}
        return build(observed.now, observed.objects, observed.logs, series, unseen, observed.testimony)

    def look(self, observed: Observed, series: tuple[Series, ...] = ()) -> tuple[Topology, tuple[Finding, ...]]:
        """Everything that the checks see, before anybody asks what it is about."""
        topology = self.topology(observed, series)
        found = {one.id: one for one in (self._own(topology) if self._own is not None else ())}
        found.update((one.id, one) for one in run(topology))
        return topology, tuple(_safe(one) for one in testified([found[name] for name in sorted(found)], topology))

    def diagnose(self, incident: Incident, observed: Observed, series: tuple[Series, ...] = ()) -> Diagnosis:
        topology, findings = self.look(observed, series)
        case = Case(
            incident=incident,
            asked=understand(incident.question, topology.now),
            focus=focus_on(incident, topology),
            topology=topology,
            findings=findings,
            missing=_missing(observed.gaps),
        )
        judged = of_question(case) if incident.question and not incident.alerts else judge(case)
        everywhere = in_many_clusters(incident.alerts)
        judged = led_by([everywhere], judged) if everywhere else judged
        return replace(judged, about=_about(case.focus), ties=ties(judged, topology))


def _about(focus: Focus) -> tuple[Ref, ...]:
    """What a follow-up question may call "it", or "there"."""
    if focus.rivals:
        return ()
    return (focus.objects or focus.elsewhere or tuple(Ref("Namespace", "", one) for one in focus.namespaces))[:8]


def _safe(finding: Finding) -> Finding:
    quotes = tuple(replace(quote, text=safe(quote.text), source=safe(quote.source, limit=300)) for quote in finding.quotes)
    params = {key: _safe_value(value) for key, value in finding.params.items()}
    return replace(finding, statement=safe(finding.statement, limit=900), quotes=quotes, params=params)


def _safe_value(value: Json) -> Json:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, list):
        return [_safe_value(one) for one in value]
    return {key: _safe_value(one) for key, one in value.items()} if isinstance(value, dict) else value


def _missing(gaps: Sequence[Gap]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{safe(gap.what, limit=200)}: {safe(gap.why, limit=200)}" for gap in gaps))

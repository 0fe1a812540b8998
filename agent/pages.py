"""The runbooks' pages behind the port that the stages know: what may be tried, what to look at, whether it helped."""

import hashlib
from collections.abc import Mapping, Sequence

import orjson

from agent.domain.finding import Diagnosis, RankedCause
from agent.domain.incident import Alert, Incident
from agent.domain.objects import Manifest, Series
from agent.domain.runbook import Page
from agent.errors import InputError
from agent.ports import Candidate, Guidance, Observed
from agent.reasoning.offline import OfflineReasoner
from agent.runbooks import Library, about_alert, about_finding, candidates, compile_condition, own_action
from sidecar.contract import Json, Step, Verification


class PageRunbooks:
    """The Runbooks port over the library of pages."""

    def __init__(self, library: Library, reasoner: OfflineReasoner) -> None:
        self._library = library
        self._reasoner = reasoner

    def candidates(self, cause: RankedCause, observed: Observed) -> Sequence[Candidate]:
        page = self._library.for_finding(cause.finding)
        found: list[Candidate] = []
        seen: dict[str, int] = {}
        for remedy in candidates(cause, self._library, self._reasoner.topology(observed)):
            seen[remedy.title] = seen.get(remedy.title, 0) + 1
            steps = tuple(
                Step(id=f"step-{number}", action=action, why=remedy.why[:500], expect=expect[:500])
                for number, (action, expect) in enumerate(zip(remedy.actions, remedy.expects, strict=True), start=1)
            )
            found.append(
                Candidate(
                    id=f"{remedy.title} ({seen[remedy.title]})",
                    steps=steps,
                    verification=remedy.verification,
                    human=remedy.human,
                    page=page.path if page else "",
                )
            )
        return found

    def guidance(self, diagnosis: Diagnosis, incident: Incident, observed: Observed, series: Sequence[Series]) -> Guidance:
        pages = [(cause.finding, self._library.for_finding(cause.finding)) for cause in diagnosis.causes]
        looks = [(alert, page) for alert in incident.alerts if (page := self._to_look_into(alert, diagnosis)) is not None]
        if not looks and not any(page is not None and page.asks for _, page in pages):
            return Guidance()
        topology = self._reasoner.topology(observed, tuple(series))
        lookups = [one for finding, page in pages if page is not None for one in about_finding(page, finding, topology)]
        lookups += [one for alert, page in looks for one in about_alert(page, alert.labels, topology)]
        first = looks[0][1] if looks else None
        return Guidance(
            page=first.path if first else "",
            look=f"{first.path} says what to look at: {' '.join(first.sections['Diagnosis'].split())}" if first else "",
            lookups=tuple(dict.fromkeys(lookups)),
        )

    def _to_look_into(self, alert: Alert, diagnosis: Diagnosis) -> Page | None:
        """The investigation for an alert whose cause is not known, or that has none that objects could show."""
        pages = self._library.for_alert(alert.name)
        if alert.resolved or not pages or not pages[0].is_investigation:
            return None
        is_open = diagnosis.outcome == "unknown" or (
            diagnosis.outcome == "healthy" and all(one.is_investigation for one in pages)
        )
        return pages[0] if is_open else None

    def proposed(self, cause: RankedCause, action: Mapping[str, Json], cites: Sequence[str], observed: Observed) -> Candidate:
        why = f"proposed by a model, which cites {', '.join(cites) or 'nothing'}; no runbook names it"
        found = own_action(cause.finding, action, why, self._library, self._reasoner.topology(observed))
        steps = tuple(
            Step(id=f"step-{number}", action=one, why=found.why, expect=expect)
            for number, (one, expect) in enumerate(zip(found.actions, found.expects, strict=True), start=1)
        )
        digest = hashlib.sha256(orjson.dumps([step.action.document() for step in steps])).hexdigest()[:8]
        name = f"model {found.title} {digest}"
        return Candidate(id=name, steps=steps, verification=found.verification, human=found.human, by_model=True)

    def holds(self, check: Verification, found: Manifest) -> tuple[bool | None, str]:
        try:
            seen = compile_condition(check.condition).look({"object": found})
        except InputError as exc:
            return None, str(exc)
        return seen, _status_line(found)


def _status_line(found: Manifest) -> str:
    """A few numbers of the object's status, for the reader of a report."""
    status = found.get("status")
    if not isinstance(status, Mapping):
        return ""
    plain = {key: value for key, value in status.items() if isinstance(value, int | str) and not isinstance(value, bool)}
    told = [f"{key}: {value}" for key, value in plain.items() if key.lower().endswith("replicas") or key == "phase"]
    return ", ".join(told[:5])

"""A summary counts what is in the reports: causes, times, denials, what comes again, what was not known."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from agent.domain.finding import Diagnosis
from agent.domain.incident import Incident
from agent.ports import RunRow
from agent.rendering.summary import summary_as_html, summary_as_json, summary_as_markdown
from agent.stages.summarise import Ended, summary_of
from tests.agent.slack.reports import AT, incident, report
from tests.fakes.agent_runs import play
from tests.fakes.agent_world import HEALS, Script


def ended(number: int, found, *, cause_after: float | None = None) -> Ended:
    found = replace(found, run=f"run-{number}") if found is not None else None
    of: Incident = found.incident if found is not None else incident()
    outcome, headline = (found.outcome, found.headline) if found is not None else ("failed", "The run broke")
    row = RunRow(
        id=f"run-{number}", incident=of, state="finished", outcome=outcome, headline=headline, created_at=AT, updated_at=AT
    )
    cause_at = of.opened_at + timedelta(seconds=cause_after) if cause_after is not None else None
    return Ended(row=row, report=found, cause_at=cause_at)


def of(*many: Ended):
    return summary_of(many, since=AT - timedelta(days=7), until=AT, cluster="eu-1")


async def test_times_causes_denials_repetitions_and_gaps_are_those_of_the_reports(tmp_path):
    denial = {1: [{"rule": "bounds", "step": "step-1", "message": "too large", "fix": {"op": "human", "text": "ask"}}]}
    repaired = (await play(tmp_path, Script(remedies=("9Gi", HEALS), deny=denial))).report
    repaired = replace(repaired, incident=incident(opened_at=repaired.incident.opened_at))
    found = of(
        ended(1, report(), cause_after=4),
        ended(2, report(unknowns=()), cause_after=8),
        ended(3, repaired, cause_after=60),
        ended(4, report(incident=incident(alerts=(), question="why?"), unknowns=())),
        ended(5, None),
        ended(6, report(outcome="unknown", diagnosis=Diagnosis(outcome="unknown", statement="?"), unknowns=("a", "b", "c", "d"))),
    )

    assert (found.alerts, found.questions) == (5, 1)
    assert dict(found.outcomes) == {"diagnosed": 3, "repaired": 1, "failed": 1, "unknown": 1}
    assert (found.to_cause.count, found.to_cause.median) == (3, 8.0)
    assert found.to_repair.count == 1
    assert found.to_repair.median == pytest.approx((repaired.ended_at - repaired.incident.opened_at).total_seconds(), abs=60)
    assert [(one.cause, one.count, one.repaired) for one in found.causes] == [("oom-killed", 4, 1)]
    assert [(one.rule, one.count, one.example) for one in found.denied] == [("bounds", 1, "too large")]
    assert found.repeated[0].runs == ("run-1", "run-2", "run-3"), "questions are no repetition"
    assert [one.run for one in found.incomplete] == ["run-1", "run-5", "run-6"]
    assert found.incomplete[2].gaps == ("a", "b", "c", "and 1 more")


@pytest.mark.parametrize("render", [summary_as_markdown, summary_as_html, summary_as_json])
def test_every_form_tells_it_and_obeys_nothing_of_it(render):
    hostile = "<script>alert(1)</script> \u202e ![x](http://evil.test)"
    told = render(of(ended(1, report(headline=hostile, unknowns=(hostile,)), cause_after=30)))
    assert "oom-killed" in told
    assert "run-1" in told
    if render is not summary_as_json:
        assert "30 s" in told
        assert "<script>" not in told
        assert "\u202e" not in told
        assert "![x](" not in told or render is summary_as_html


def test_a_week_without_incidents_is_a_summary_too():
    found = of()
    assert found.to_cause is None
    assert "No cause was named" in summary_as_markdown(found)
    assert "No cause was named" in summary_as_html(found)
    assert json.loads(summary_as_json(found))["alerts"] == 0

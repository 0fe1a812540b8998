"""From the alerts of an incident to silences: what each is about, by which labels, and what nobody can say."""

from datetime import UTC, datetime
from typing import Any

import pytest

from agent.domain.evidence import Evidence
from agent.domain.finding import Diagnosis
from agent.domain.incident import Alert, Incident
from agent.domain.objects import Ref
from agent.domain.report import Report
from agent.stages.silence import Wish, silences

THERE = {
    Ref("Deployment", "shop", "web"),
    Ref("Pod", "shop", "web-7d9f5c8b64-x2kqz"),
    Ref("Node", "", "node-1"),
    Ref("Pod", "shop", "node-exporter-abcde"),
}


class Reader:
    async def get(self, api_version: str, ref: Ref) -> dict[str, Any] | None:
        return {"apiVersion": api_version, "kind": ref.kind, "metadata": {"uid": f"uid-{ref.name}"}} if ref in THERE else None


def report(*alerts: Alert, diagnosis: Diagnosis | None = None) -> Report:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    seen = Evidence(id="ev-1", source="kubernetes", about=None, text="x", sha256="ab" * 32)
    none: dict[str, Any] = dict.fromkeys(("rounds", "timeline", "charts", "unknowns", "follow_ups", "victims"), ())
    incident = Incident(id="inc-1", cluster="lab", opened_at=now, alerts=alerts)
    return Report(
        run="run-1", incident=incident, outcome="unknown", headline="h", diagnosis=diagnosis, evidence=(seen,), **none,
        started_at=now, ended_at=now,
    )  # fmt: skip


def alert(name: str = "Down", resolved: bool = False, **labels: str) -> Alert:
    return Alert(name=name, labels={"severity": "warning", **labels}, resolved=resolved)


async def asked(*alerts: Alert, **wish: Any):
    return await silences(report(*alerts), Wish(minutes=30, asked_by="sam", **wish), reader=Reader())


@pytest.mark.parametrize(
    ("labels", "target", "names"),
    [
        ({"namespace": "shop", "deployment": "web", "pod": "kube-state-metrics-0"}, "Deployment shop/web", "deployment"),
        ({"namespace": "shop", "pod": "web-7d9f5c8b64-x2kqz", "container": "main"}, "Pod shop/web-7d9f5c8b64-x2kqz", "pod"),
        ({"namespace": "shop", "pod": "node-exporter-abcde", "node": "node-1"}, "Node node-1", "node"),
    ],
)
async def test_an_alert_is_silenced_by_what_it_is_about_and_not_by_who_measured(labels, target, names):
    ((plan,), left) = await asked(alert(**labels))

    assert (str(plan.steps[0].action.target), left) == (target, [])
    assert {one.name for one in plan.steps[0].action.matchers} == {"alertname", "namespace", "severity", names}
    assert (plan.requested_by, plan.basis, plan.cause.subject) == ("sam", "checks", plan.steps[0].action.target)


async def test_alerts_about_one_object_are_one_plan_and_what_is_over_or_of_another_name_is_left_alone():
    web = {"namespace": "shop", "deployment": "web"}
    given = [alert(**web), alert("Slow", **web), alert("Gone", resolved=True, **web), alert(**web), alert("Other", node="node-1")]

    whole, _ = await asked(*given)
    named, _ = await asked(*given, alert="Slow")

    assert [[step.action.matchers[0].value for step in plan.steps] for plan in whole] == [["Down", "Slow"], ["Other"]]
    assert [[step.action.matchers[0].value for step in plan.steps] for plan in named] == [["Slow"]]


async def test_more_alerts_about_one_object_than_a_plan_holds_are_several_plans_and_none_is_lost():
    plans, left = await asked(*(alert(f"Slow{number}", namespace="shop", deployment="web") for number in range(45)))

    assert [len(plan.steps) for plan in plans] == [20, 20, 5]
    assert len({step.action.matchers for plan in plans for step in plan.steps}) == 45
    assert left == []


@pytest.mark.parametrize("labels", [{"namespace": "shop"}, {"namespace": "shop", "deployment": "gone"}, {}])
async def test_an_alert_that_names_nothing_that_is_there_is_said_and_not_guessed(labels):
    plans, (left,) = await asked(alert(**labels))

    assert plans == []
    assert left.startswith("Down: it names no object that is there")

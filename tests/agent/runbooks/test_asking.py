"""The questions of the pages are answered from what was read, and what cannot be said is said to be so."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from agent.bootstrap import Source, workshop
from agent.domain import testimony
from agent.domain.finding import Finding
from agent.domain.incident import Alert
from agent.domain.objects import Ref, Series
from agent.domain.runbook import Ask
from agent.runbooks import about_alert, about_finding, load_library
from agent.runbooks.asking import _TOOLS
from agent.runbooks.reading import TOOLS
from agent.settings import Settings
from tests.agent.builders import (
    NOW,
    ago,
    app,
    deployment,
    ended,
    event,
    lines,
    log,
    node,
    obj,
    pod,
    replica_set,
    service,
    topology,
)

LIBRARY = load_library()
WEB = Ref("Deployment", "shop", "web")


def asked(tool, objects, about=WEB, **seen):
    page = next(page for page in LIBRARY.pages.values() if page.asks)
    finding = Finding(cause="x", subject=about, statement="x.")
    asks = (Ask(tool=tool, target="{subject}", settles="it"),)
    (found,) = about_finding(replace(page, asks=asks), finding, topology(*objects, **seen))
    return found


def released():
    owner = deployment("web", replicas=1, ready=0)
    sets = [
        replica_set(owner, 2, ready=0, minutes=20),
        replica_set(owner, 1, ready=1, minutes=300, image="registry.example.com/app:0.9"),
    ]
    one = pod(sets[0], ready=False, statuses=[ended(1)], minutes=19)
    return [owner, *sets, one, service("web"), node(), event(one, "BackOff", "Back-off restarting failed container")], one


def test_every_tool_that_a_page_may_name_is_there():
    assert set(_TOOLS) == TOOLS


def test_the_rollout_history_names_revisions_with_their_images():
    objects, _ = released()

    first, second = asked("rollout_history", objects).text.splitlines()

    assert first.startswith("revision 2 of ")
    assert "app:0.9, 1 ready" in second


def test_the_end_of_the_log_of_the_run_before():
    objects, one = released()
    logs = [log(one, lines("starting", "fatal: no such table"), previous=True), log(one, lines("starting"))]

    assert asked("previous_logs", objects, logs=logs).text.endswith("fatal: no such table")
    assert "fatal" not in asked("logs", objects, logs=logs).text


def test_warnings_come_before_other_events():
    objects, one = released()
    objects.append(event(one, "Pulled", "pulled", kind="Normal"))

    first, *_ = asked("events", objects).text.splitlines()

    assert "Warning BackOff" in first


def test_pods_endpoints_and_dependents():
    objects = app("web")
    ready = [{"conditions": {"ready": True}}, {"conditions": {"ready": False}}]
    labels = {"kubernetes.io/service-name": "web"}
    objects.append(
        obj(
            "EndpointSlice",
            "web-1",
            api="discovery.k8s.io/v1",
            metadata={"labels": labels},
            endpoints=ready,
            ports=[{"port": 8080}],
        )
    )

    assert "1 of 1 ready, 0 restarts" in asked("list", objects).text
    assert "Service web: 1 of 2 endpoints ready, on 8080" in asked("endpoints", objects).text
    assert asked("dependents", objects).text == "Service shop/web needs Deployment shop/web"


def test_metrics_that_moved_most_come_first():
    objects, one = released()
    name = one["metadata"]["name"]
    end = NOW.timestamp()

    def series(metric, last):
        return Series(labels={"__name__": metric, "namespace": "shop", "pod": name}, samples=((end - 600, 10.0), (end, last)))

    seen = asked("metrics", objects, series=(series("calm", 11.0), series("wild", 90.0)))

    assert seen.text.splitlines()[0] == f"wild of {name}: 10 to 90 in 10 min"


def test_what_cannot_be_said_is_missing_with_a_reason():
    found = asked("metrics", app("web"))

    assert found.text == ""
    assert "nothing was read that says it" in found.missing


def test_an_alert_without_a_cause_of_its_own_is_looked_into_by_its_labels():
    page = LIBRARY.for_alert("KubeletTooManyPods")[0]
    pressed = node(conditions=[{"type": "Ready", "status": "True", "lastTransitionTime": ago(60)}])

    found = about_alert(page, {"node": "node-1"}, topology(pressed))

    assert [one.tool for one in found] == [one.tool for one in page.asks]
    assert "Ready=True" in found[0].text
    assert {str(one.about) for one in found} == {"Node node-1"}


@pytest.mark.parametrize(
    ("alerts", "question", "expected"),
    [
        ((), "What is wrong with web?", "runbook: "),
        ((Alert(name="KubePodCrashLooping", labels={"namespace": "shop"}),), "", "runbook: "),
    ],
)
def test_a_run_keeps_the_answers_as_evidence_and_they_name_what_they_settle(tmp_path, alerts, question, expected):
    objects, one = released()
    logs = [
        {
            "namespace": "shop",
            "pod": one["metadata"]["name"],
            "container": "app",
            "previous": True,
            "text": "fatal: no such table\n",
        }
    ]
    snapshot = tmp_path / "cluster.json"
    snapshot.write_text(
        json.dumps({"snapshot": 1, "cluster": {"name": "c"}, "now": "2026-05-04T12:00:00Z", "objects": objects, "logs": logs})
    )

    async def investigated():
        async with workshop(Settings(database_url=f"sqlite:///{tmp_path / 'runs.sqlite'}"), Source(snapshot=snapshot)) as shop:
            row, _ = await shop.take(question=question, alerts=alerts)
            await shop.work(row)
            return await shop.report(row.id)

    report = asyncio.run(investigated())

    kept = [piece for piece in report.evidence if piece.source.startswith(expected)]
    assert kept
    assert all(", to settle " in piece.source for piece in kept)
    assert len({piece.id for piece in report.evidence}) == len(report.evidence)


def test_an_alert_that_objects_cannot_explain_ends_with_what_to_look_at(tmp_path):
    def run(*alerts):
        snapshot = tmp_path / "well.json"
        snapshot.write_text(
            json.dumps({"snapshot": 1, "cluster": {"name": "c"}, "now": "2026-05-04T12:00:00Z", "objects": [node(), *app("web")]})
        )

        async def investigated():
            async with workshop(
                Settings(database_url=f"sqlite:///{tmp_path / 'runs.sqlite'}"), Source(snapshot=snapshot)
            ) as shop:
                row, _ = await shop.take(alerts=alerts)
                await shop.work(row)
                return await shop.report(row.id)

        return asyncio.run(investigated())

    clock = run(Alert(name="NodeClockSkewDetected", labels={"node": "node-1"}))
    stale = run(Alert(name="KubePodCrashLooping", labels={"namespace": "shop"}))

    assert clock.outcome == "healthy"
    assert clock.runbook == "runbooks/investigations/about-node-clock.md"
    assert any("time service" in one.text for one in clock.follow_ups)
    assert any(piece.source.startswith("runbook: describe of Node node-1") for piece in clock.evidence)
    assert stale.runbook == ""
    assert stale.follow_ups == ()


def test_what_other_sources_told_is_asked_for_by_name():
    objects = app("web")
    one = next(found for found in objects if found["kind"] == "Pod")
    used = obj(
        "PodMetrics", one["metadata"]["name"], api="metrics.k8s.io/v1beta1", timestamp=ago(1),
        containers=[{"name": "app", "usage": {"cpu": "250m", "memory": "90Mi"}}],
    )  # fmt: skip
    release = obj("Secret", "v4", metadata={"labels": {"owner": "helm", "name": "web", "version": "4", "status": "failed"}})
    objects[0]["metadata"]["labels"]["app.kubernetes.io/instance"] = "web"
    journey = testimony.Journey(
        id="4bf", source="tempo: trace 4bf", spans=(testimony.Span(id="1", parent="", service="web", name="GET /", begin=NOW,
                                                         took=timedelta(seconds=3), failed=True, said="no money"),),
    )  # fmt: skip
    alerts = (Alert(name="Down", labels={"namespace": "shop", "pod": one["metadata"]["name"]}), Alert(name="Far", labels={}))
    told = testimony.Testimony(alerts=alerts, journeys=(journey,))

    found = {tool: asked(tool, [*objects, used, release], testimony=told).text for tool in ("alerts", "traces", "brought", "top")}

    assert found["alerts"] == "Down"
    assert "GET / of web failed (3.0 s)" in found["traces"]
    assert "no money" in found["traces"]
    assert "Helm release web, revision 4: failed, by helm" in found["brought"]
    assert "cpu 250m, memory 90Mi" in found["top"]
    silent = asked("traces", objects, unseen={"traces": "neither Tempo nor Jaeger is configured"})
    assert (silent.text, silent.missing) == ("", "neither Tempo nor Jaeger is configured")

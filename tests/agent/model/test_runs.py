"""Investigations with a model, from question to report: what it looks at, what becomes of it, and what never leaves."""

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agent.cli.evaluate import evaluate
from agent.evaluation.truth import read_truth
from agent.rendering import render
from agent.toolsets.snapshot import load
from tests.agent import builders
from tests.agent.model.playing import crashing, played
from tests.fakes.model_minds import at_once, claim, conclude, denying, finding, honest, looked, quote
from tests.fakes.model_personalities import by_name
from tests.fakes.model_server import KEY, Calls, ModelServer, Talk
from tests.forked import run as run_forked
from tests.recordings.place import ROOT

REPOSITORY = Path(__file__).parents[3]
RECORDINGS = (("checkout-restarts", True), ("etl-pending", False), ("orders-unreachable", True))


@pytest.mark.skipif(not ROOT.is_dir(), reason=f"no recordings at {ROOT} (set LESTRADE_SHARED)")
@pytest.mark.parametrize(("name", "stream"), RECORDINGS)
async def test_recorded_incidents_are_confirmed_with_quotes_of_both(tmp_path, name, stream):
    truth = read_truth(ROOT / f"{name}.truth.yaml")

    run = await played(tmp_path, honest, snapshot=load(ROOT / f"{name}.json.gz"), question=truth.question, model_stream=stream)

    assert run.causes[0] == truth.cause
    assert (run.assessment.outcome, run.assessment.agrees) == ("answered", True), run.assessment
    assert run.assessment.dropped == ()
    cited = run.report.diagnosis.causes[0].evidence
    kept = {piece.id: piece for piece in run.report.evidence}
    assert any(one.startswith("look-") for one in cited)
    assert all(one in kept for one in cited)
    assert "the model looks: describe, events, list_objects" in run.told


async def test_looks_are_shown_in_part_and_found_again_by_words(tmp_path):
    def curious(talk: Talk):
        if talk.turn == 0:
            pod = next(line.split("/")[1].split(":")[0] for line in talk.opening.splitlines() if line.startswith("Pod shop/"))
            return Calls.one("logs", namespace="shop", pod=pod, tail=20_000)
        if talk.turn == 1:
            return Calls.one("slice", evidence="look-1", search="DATABASE_URL")
        line = next(line for line in talk.results()[1].splitlines() if "DATABASE_URL" in line)
        number, _, words = line.partition(": ")
        assert number.isdigit()
        return conclude(causes=[claim(web, {"evidence": "look-1", "words": words}, confirms=False)])

    web = {"id": "", "cause": "missing-env-var", "kind": "Deployment", "namespace": "shop", "name": "web"}

    snapshot = crashing()
    long = tuple(
        replace(log, text="info all is well\n" * 300 + log.text + f"\ninfo {'bye ' * 25}" * 100) for log in snapshot.logs
    )
    run = await played(tmp_path, curious, snapshot=replace(snapshot, logs=long))

    assert "see slice" in run.server.talks[1].results()[0]
    assert "DATABASE_URL" not in run.server.talks[1].results()[0]
    assert run.assessment.dropped == ()
    (piece,) = [one for one in run.report.evidence if one.id == "look-1"]
    assert "DATABASE_URL is not set" in piece.text
    assert len(piece.text) < 2000


async def test_the_same_question_twice_is_refused_and_points_at_its_answer(tmp_path):
    def forgetful(talk: Talk):
        return Calls.one("list_objects", kind="Pod") if talk.turn < 2 else at_once(talk)

    run = await played(tmp_path, forgetful)

    assert run.server.talks[2].results()[1] == "you asked this already: see look-1"
    assert run.assessment.outcome == "answered"


async def test_what_reads_like_a_secret_or_a_secret_itself_never_leaves(tmp_path):
    secret = builders.obj("Secret", "db", data={"password": "Y2FuYXJ5LXNlY3JldC12YWx1ZQ=="})
    config = builders.obj(
        "ConfigMap", "settings", data={"url": "postgres://app:canary-password-1@db/x", "TOKEN": "canary-token-2"}
    )

    def nosy(talk: Talk):
        if talk.turn == 0:
            return Calls(
                [
                    ("get_object", {"kind": kind, "namespace": "shop", "name": name})
                    for kind, name in (("Secret", "db"), ("ConfigMap", "settings"))
                ]
            )
        return at_once(talk)

    snapshot = crashing()
    run = await played(tmp_path, nosy, snapshot=replace(snapshot, objects=(*snapshot.objects, secret, config)))

    sent = "".join(run.server.raw)
    assert sent.count("[masked]") >= 3
    assert not any(word in sent for word in ("Y2FuYXJ5", "canary-secret", "canary-password", "canary-token", KEY))


async def test_names_do_not_leave_where_they_are_hidden_and_the_report_has_them(tmp_path):
    run = await played(tmp_path, honest, model_hide_names=True, question="what is wrong in namespace shop with web?")

    sent = "".join(run.server.raw)
    assert not any(name in sent for name in ("shop/", "web-0", "registry.example.com", "node-1"))
    assert run.causes == ["missing-env-var"]
    assert run.assessment.outcome == "answered", run.assessment
    assert run.assessment.dropped == ()
    assert "name-" not in render(run.report, "md").replace("namespace-", "").replace("name-0", "")


async def test_the_same_findings_are_not_paid_for_twice_in_a_while(tmp_path):
    first = await played(tmp_path, honest)
    second = await played(tmp_path, honest)
    third = await played(tmp_path, honest, model_cache_minutes=0)

    assert len(first.server.talks) == 2
    assert second.server.talks == []
    assert second.assessment.cached
    assert second.assessment.said == first.assessment.said
    assert first.report.run in second.assessment.why
    assert second.report.diagnosis.causes == first.report.diagnosis.causes
    assert len(third.server.talks) == 2


async def test_a_day_has_a_budget_over_all_runs(tmp_path):
    await played(tmp_path, honest)
    run = await played(tmp_path, honest, model_cache_minutes=0, model_day_tokens=200)

    assert run.server.talks == []
    assert (run.assessment.reason, run.causes) == ("budget", ["missing-env-var"])


async def test_an_answer_that_may_cost_more_than_is_left_of_the_day_is_not_asked_for(tmp_path):
    run = await played(tmp_path, honest, model_day_tokens=5000)

    assert run.server.talks == []
    assert (run.assessment.reason, run.causes) == ("budget", ["missing-env-var"])
    assert "budget of 24 hours" in run.assessment.why


async def test_money_ends_an_investigation_with_what_is_known_so_far(tmp_path):
    def slow(talk: Talk):
        return Calls.one("events", name=f"x{talk.turn}") if len(talk.tools) > 1 else at_once(talk)

    run = await played(tmp_path, slow, model_prices="stand-in=1000/1000", model_run_cost=9.0, model_answer_tokens=200)

    assert (run.assessment.outcome, run.assessment.reason) == ("partial", "budget")
    assert 0 < run.assessment.cost <= 9.0
    assert run.assessment.agrees
    assert run.server.talks[-1].tool_names == ["conclude"]


async def test_disagreement_is_shown_with_the_evidence_of_both(tmp_path):
    run = await played(tmp_path, denying)
    page = render(run.report, "md")

    assert run.report.outcome == "diagnosed"
    assert run.causes == ["missing-env-var"]
    assert "Where it differs from the checks:" in page
    assert "what the checks saw stands" in page
    assert run.assessment.agrees is False


async def test_what_the_model_finds_beyond_the_checks_is_marked_as_its_word(tmp_path):
    web = builders.deployment("web")
    replicas = builders.replica_set(web)
    log = crashing().logs[0]
    pods = [builders.pod(replicas, number=number) for number in range(2)]
    strange = replace(
        log, pod=pods[0]["metadata"]["name"], previous=False, text="info ok\nflux capacitor misaligned by 7 degrees\ninfo ok"
    )
    node = builders.obj("Node", "node-1", namespace="", status={"conditions": [builders.told("Ready", "True")]})
    snapshot = replace(
        crashing(), objects=(builders.obj("Namespace", "shop", namespace=""), node, web, replicas, *pods), logs=(strange,)
    )

    def beyond(talk: Talk):
        if talk.turn == 0:
            return Calls(
                [
                    ("logs", {"namespace": "shop", "pod": strange.pod}),
                    ("describe", {"kind": "Deployment", "namespace": "shop", "name": "web"}),
                ]
            )
        one = {"id": "", "cause": "flux-capacitor-misaligned", "kind": "Deployment", "namespace": "shop", "name": "web"}
        words = [looked(talk, "flux capacitor"), looked(talk, "Deployment shop/web: replicas")]
        return conclude(causes=[claim(one, *words, confirms=False)], summary="The flux capacitor is misaligned.")

    run = await played(tmp_path, beyond, snapshot=snapshot, question="is web in shop healthy?")

    assert run.causes == ["flux-capacitor-misaligned"]
    assert run.report.headline.startswith("Diagnosed: As the model says: flux capacitor misaligned")
    assert run.report.diagnosis.causes[0].confidence < 0.6
    assert run.report.diagnosis.reasoner == "offline, model stand-in"


async def test_without_a_model_nobody_is_asked(tmp_path):
    run = await played(tmp_path, honest, model="")

    assert run.server.talks == []
    assert run.report.diagnosis.assessment is None


@pytest.mark.timeout(600)
def test_killed_and_started_again_no_answer_is_paid_for_twice(tmp_path):
    with ModelServer.running(honest) as server:
        environment = {**os.environ, "MODEL_URL": server.url, "PYTHONPATH": str(REPOSITORY)}
        command = [sys.executable, "-m", "tests.agent.model.mortal", str(tmp_path)]
        killed = run_forked(command, env={**environment, "DIE_AT": "reply"}, cwd=tmp_path, timeout=240)
        asked = len(server.talks)
        again = run_forked(command, env=environment, cwd=tmp_path, timeout=240)

    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert again.returncode == 0, again.stderr
    told = json.loads(again.stdout)
    assert asked == 1
    assert len(server.talks) == 2
    assert told["outcome"] == "answered"
    assert told["calls"] == 2


@pytest.mark.skipif(not ROOT.is_dir(), reason=f"no recordings at {ROOT} (set LESTRADE_SHARED)")
def test_an_evaluation_with_a_model_stands_beside_the_one_without(capsys, monkeypatch):
    with ModelServer.running(honest) as server:
        monkeypatch.setenv("LESTRADE_MODEL_URL", server.url)
        monkeypatch.setenv("LESTRADE_MODEL_PRICES", "stand-in=10/10")

        code = evaluate(ROOT, only=["etl-pending"], lab=False, copies=None, model="stand-in", as_json=False, config=None)

    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines() if line.startswith("etl-pending")]
    assert code == 0
    assert "the model        0 better, 0 worse, 0 both, 2 same of 2 answers; median " in out
    assert [row[1:3] for row in rows if "+model" in row] == [["question", "+model"], ["alert", "+model"]]
    assert [row[-4:] for row in rows if "+model" in row] == [["same", "2", "240", "0.0024"]] * 2
    assert [row[-4:] for row in rows if "+model" not in row] == [["-", "-", "-", "-"]] * 2


@pytest.mark.skipif(not ROOT.is_dir(), reason=f"no recordings at {ROOT} (set LESTRADE_SHARED)")
@pytest.mark.parametrize(("name", "row", "said"), [
    ("stand-in-wrong", ["right", "right", "0.50"], "worse   1 time loses precision: newsletter-release (question)"),
    ("stand-in-lying", ["right", "right", "1.00"], "0 better, 0 worse, 0 both, 1 same of 1 answers"),
])  # fmt: skip
def test_models_that_are_wrong_or_lie_make_no_right_answer_wrong(capsys, monkeypatch, name, row, said):
    with ModelServer.running(by_name, counts=True) as server:
        monkeypatch.setenv("LESTRADE_MODEL_URL", server.url)
        monkeypatch.setenv("LESTRADE_MODEL_PRICES", f"{name}=1/10")

        evaluate(ROOT, only=["newsletter-release"], lab=False, copies=None, model=name, as_json=False, config=None)

    out = capsys.readouterr().out
    (told,) = [line.split() for line in out.splitlines() if line.startswith("newsletter-release") and "+model" in line]
    assert told[3:6] == row
    assert int(told[-2]) > 1000
    assert float(told[-1]) > 0
    assert said in out


async def test_a_bug_of_ours_costs_the_models_word_and_not_the_run(tmp_path, monkeypatch):
    async def broken(*_, **__):
        raise RuntimeError("a bug")

    monkeypatch.setattr("agent.inquest.settle", broken)

    run = await played(tmp_path, honest)

    assert (run.report.outcome, run.causes) == ("diagnosed", ["missing-env-var"])
    assert run.assessment.outcome == "unavailable"
    assert "stage investigate broke (RuntimeError)" in run.assessment.why
    assert "a bug" not in run.assessment.why


async def test_an_address_in_the_question_comes_back_as_itself(tmp_path):
    def quoting(talk: Talk):
        said = next(line for line in talk.opening.splitlines() if line.startswith("why "))
        assert "10.9.8.7" not in said
        return conclude(causes=[claim(finding(talk), quote(talk))], summary=said)

    run = await played(tmp_path, quoting, model_hide_names=True, question="why does web in shop not reach 10.9.8.7?")

    assert run.assessment.said == "why does web in shop not reach 10.9.8.7?"

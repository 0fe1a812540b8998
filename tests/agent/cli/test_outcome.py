"""The end of an investigation at the terminal: the answer in front, what it rests on, tables, asking back, exit codes."""

from dataclasses import replace
from datetime import timedelta
from io import StringIO

import pytest
from rich.console import Console

from agent.cli import outcome
from agent.cli.exits import OF_OUTCOME
from agent.domain.report import Report
from agent.ports import Gap
from agent.reasoning.evidence import collect
from agent.reasoning.offline import OfflineReasoner
from agent.rendering import as_html, as_markdown
from agent.stages.conclude import headline, outcome_of
from tests.agent.builders import NOW, app, asked, obj, observed
from tests.agent.checks.cases import CASES


def report(question, *objects, logs=(), unknowns=()):
    """As a run without a sidecar leaves it."""
    incident = asked(question)
    found = OfflineReasoner().diagnose(incident, observed(*objects, logs=logs))
    diagnosis, evidence = collect(found, [Gap(what="metrics", why="no Prometheus is configured")])
    ended = outcome_of(diagnosis, (), latest=diagnosis.outcome, governed=False, failure="")
    return Report(
        run="run-1", incident=incident, outcome=ended, headline=headline(ended, diagnosis, (), failure=""), diagnosis=diagnosis,
        rounds=(), evidence=evidence, timeline=(), charts=(), unknowns=tuple(unknowns), follow_ups=(), victims=diagnosis.victims,
        started_at=NOW, ended_at=NOW + timedelta(seconds=1),
    )  # fmt: skip


def shown(of, *, width=0):
    out = StringIO()
    terminal = {"force_terminal": True, "width": width, "color_system": None} if width else {}
    outcome.show(of, Console(file=out, highlight=False, soft_wrap=True, **terminal))
    return out.getvalue()


def two_webs():
    other = app("web", replicas=1)
    for one in other:
        one["metadata"]["namespace"] = "blog"
    return [*app("web"), *other, *(obj("Namespace", name, namespace="") for name in ("shop", "blog"))]


def test_a_fault_leads_with_what_is_wrong_and_says_what_shows_it():
    objects, logs = CASES["oom-killed"][1]()
    words = shown(report("why does web restart?", *objects, logs=logs))

    assert words.lstrip().startswith("FAULT      ")
    assert "oom-killed of Deployment shop/web" in words
    assert "shown by kubernetes:" in words


@pytest.mark.parametrize(
    ("question", "label", "code"),
    [
        ("is web healthy in namespace shop?", "HEALTHY", 0),
        ("what changed in namespace shop?", "ANSWER", 0),
        ("is web healthy?", "HEALTHY", 0),  # so are both
        ("what changed in web?", "WHICH ONE?", 2),
        ("why is inventory-sync failing?", "NOT THERE", 2),
    ],
)
def test_every_kind_of_answer_has_its_word_and_its_exit_code(question, label, code):
    found = report(question, *two_webs())

    assert shown(found).lstrip().startswith(f"{label} ")
    assert OF_OUTCOME[found.outcome] == code


def test_an_answer_is_a_table_at_the_terminal_in_markdown_and_on_the_page():
    found = report("what changed in web?", *two_webs())

    assert "Deployment blog/web" in shown(found, width=100)
    assert "Deployment blog/web\t1 of 1 pods ready" in shown(found)
    assert "| Deployment blog/web | 1 of 1 pods ready" in as_markdown(found)
    assert "what changed in web in namespace blog?" in as_html(found)


def test_it_stays_within_a_narrow_terminal():
    words = shown(report("what changed in namespace shop?", *two_webs()), width=60)

    assert max(map(len, words.splitlines())) <= 60


def test_many_logs_that_are_gone_are_one_line():
    lost = [f"logs of Pod shop/web-{number} container app: gone" for number in range(30)]
    words = shown(
        report("is web healthy in namespace shop?", *two_webs(), unknowns=[*lost, "metrics: no Prometheus is configured"])
    )

    assert words.count("not seen") == 2
    assert "30 container logs: gone" in words


def test_text_of_the_cluster_cannot_steer_the_terminal():
    found = report("is web healthy in namespace shop?", *two_webs())
    hostile = replace(found, diagnosis=replace(found.diagnosis, statement="\x1b[2Jx\u202ey"))

    assert "\x1b[2J" not in shown(hostile, width=100)
    assert "\u202e" not in shown(hostile, width=100)

"""Reports say what happened, and nothing that the cluster said can make them do anything."""

import asyncio
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from agent.domain.evidence import Evidence
from agent.domain.objects import Series
from agent.domain.report import Chart, Report
from agent.rendering import as_html, as_json, as_markdown
from agent.rendering.chart import draw
from agent.rendering.safety import visible
from agent.rendering.wording import named
from tests.fakes.agent_runs import play
from tests.fakes.agent_world import HEALS, START, Script

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "</pre><iframe src='http://evil.test'></iframe>",
    "javascript:alert(1)",
    "{{ 7*7 }}{% raw %}",
    "\u202eelif.exe\u2066 \u200b hidden",
    "\x1b[2J\x1b]8;;http://evil.test\x07 \r overwritten \x00",
    "```\n# heading\n[link](http://evil.test)",
]


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Report:
    denial = {1: [{"rule": "bounds", "step": "step-1", "message": "too large", "fix": {"op": "human", "text": "ask the owners"}}]}
    script = Script(remedies=("9Gi", "96Mi", HEALS), deny=denial)
    return asyncio.run(play(tmp_path_factory.mktemp("run"), script)).report


@pytest.mark.parametrize("render", [as_markdown, as_html, as_json])
def test_every_form_tells_what_happened(report, render):
    text = render(report)

    for fact in (
        "oom-killed",
        "shop/checkout",
        "96Mi",
        "256Mi",
        "ada",
        "too large",
        "ask the owners",
        "lease-1",
        "OOMKilled",
        "sha256:abc",
        report.run,
        report.evidence[0].id,
    ):
        assert fact in text, fact


@pytest.mark.parametrize("render", [as_markdown, as_html])
def test_every_round_says_how_it_ended_and_that_the_rights_are_over(report, render):
    text = render(report).lower()

    assert text.count("old token was refused (403) 12 ms") == 2
    for end in ("denied by policy", "did not help, undone", "helped"):
        assert end in text


def test_json_has_a_version_and_a_summary(report):
    document = json.loads(as_json(report))

    assert document["report"] == 1
    assert document["summary"]["cause"] == "oom-killed"
    assert document["summary"]["resource"] == "Deployment shop/checkout"
    assert [round_["end"] for round_ in document["summary"]["rounds"]] == ["denied", "did-not-help", "helped"]


def test_the_page_loads_nothing_runs_nothing_and_links_nowhere(report):
    page = Page(as_html(report))

    assert not page.tags & {"script", "iframe", "object", "embed", "link", "img", "base", "form"}
    assert not [name for name in page.attributes if name.startswith("on")]
    assert all(target.startswith("#") for target in page.targets)
    assert not re.search(r"url\(|@import", page.text)


@pytest.mark.parametrize("text", HOSTILE)
def test_words_of_the_cluster_stay_words(report, text):
    plain = Page(as_html(report))
    piece = Evidence(id="ev-9", source=f"logs {text}", about=None, text=text, sha256="0" * 64)
    hostile = replace(
        report,
        headline=text,
        evidence=(*report.evidence, piece),
        unknowns=(text,),
        diagnosis=replace(report.diagnosis, statement=text),
        incident=replace(report.incident, question=text),
    )

    page = Page(as_html(hostile))
    markdown = as_markdown(hostile)

    assert page.tags == plain.tags
    assert page.attributes == plain.attributes
    for raw in (as_html(hostile), markdown):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\u200b]", raw)
    outside = re.sub(r"^(`{3,}).*?^\1$", "", markdown, flags=re.S | re.M)
    assert not re.search(r"(?<!\\)<", outside)
    assert "\n# heading" not in outside


def test_direction_and_control_characters_are_shown_by_their_codes():
    assert visible("a\u202eb\x1b[0m\tc\r\nd") == "a<U+202E>b<U+001B>[0m\tc\nd"


def test_a_chart_is_drawn_with_its_marks_and_its_names_are_escaped():
    labels = {"__name__": "container_memory_working_set_bytes", "pod": "<b>pod</b>"}
    series = Series(labels=labels, samples=tuple((1e9 + n * 30, float(n)) for n in range(900)))
    svg = str(draw(Chart(title="Memory", unit="bytes", series=(series,), marks=((START, "plan 1 & more"),))))

    assert "plan 1 &amp; more" in svg
    assert "<b>" not in svg
    assert svg.count("L") < 400


@pytest.mark.parametrize("samples", [(), ((1.0, float("nan")), (2.0, float("inf"))), ((1.0, 5.0),)])
def test_a_chart_without_two_numbers_is_left_out(samples):
    series = Series(labels={"__name__": "x"}, samples=samples)

    assert str(draw(Chart(title="t", unit="", series=(series,)))) == ""


async def test_a_failed_run_has_a_page_too(tmp_path):
    run = await play(tmp_path, Script(unreachable=True))

    assert "nothing answers" in as_html(run.report)
    assert "nothing answers" in as_markdown(run.report)


async def test_without_a_sidecar_the_remedy_is_told_and_not_done(tmp_path):
    run = await play(tmp_path, governed=False)

    assert "not performed" in as_markdown(run.report)
    assert "+  memory: 256Mi" in as_markdown(run.report)


class Page(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.targets: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name in ("href", "src", "action"):
                self.targets.append(value or "")


def test_findings_are_named_as_people_name_them():
    line = "it explains crash-loop@Deployment/shop/cart, node-not-ready@Node//n1"

    assert named(line) == "it explains crash-loop (Deployment shop/cart), node-not-ready (Node n1)"

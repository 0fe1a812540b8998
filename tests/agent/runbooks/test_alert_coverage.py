"""Every alert of the usual rule sets leads to a page, and what has many causes leads to a page that says what to look at."""

from pathlib import Path

import pytest
import yaml

from agent.runbooks import load_library
from agent.runbooks.matching import match_alerts, match_question

LIBRARY = load_library()
SETS: dict[str, dict[str, list[str]]] = yaml.safe_load((Path(__file__).parent / "alert_names.yaml").read_text())
NAMES = sorted({name for groups in SETS.values() for names in groups.values() for name in names})


@pytest.mark.parametrize("rules", [(rules, group) for rules, groups in SETS.items() for group in groups], ids="/".join)
def test_every_alert_of_a_rule_set_leads_to_a_page(rules):
    assert [name for name in SETS[rules[0]][rules[1]] if not LIBRARY.for_alert(name)] == []


def test_the_list_is_the_whole_of_the_rule_sets():
    assert len(NAMES) > 130
    assert len(SETS["kubernetes-mixin"]) == 10


def test_an_alert_with_several_causes_begins_with_what_to_look_at():
    for name in NAMES:
        first, *others = match_alerts([name], LIBRARY)
        assert first.page.is_investigation or len(others) < 6, name
        assert name in first.why


def test_an_investigation_says_what_to_look_at_and_changes_nothing():
    for page in LIBRARY.pages.values():
        if page.is_investigation:
            assert len(page.sections["Diagnosis"]) > 60, page.path
            assert page.asks
            assert not page.remedies
            assert LIBRARY.page(page.cause) is None


def test_an_alert_that_nobody_knows_leads_nowhere():
    assert match_alerts(["SomethingOfOurOwn"], LIBRARY) == ()


@pytest.mark.parametrize(
    ("question", "page"),
    [
        ("Why is payments pending since noon?", "about-workload-not-available"),
        ("basket answers 503 to everybody", "about-service-failing"),
        ("The autoscaler does nothing although there is load", "about-autoscaling"),
        ("namespace demo hangs in Terminating", "about-deletion"),
        ("image cannot be pulled: unauthorized", "image-pull-unauthorized"),
        ("is it oom-killed?", "oom-killed"),
        ("KubeSchedulerDown fires, is that true?", "about-control-plane-component-down"),
    ],
)
def test_a_question_leads_to_the_page_of_its_symptom(question, page):
    assert match_question(question, LIBRARY)[0].page.cause == page


@pytest.mark.parametrize("question", ["", "how do I make coffee?", "???", "the the the"])
def test_a_question_about_nothing_leads_nowhere(question):
    assert match_question(question, LIBRARY) == ()

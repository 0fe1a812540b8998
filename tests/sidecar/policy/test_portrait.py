"""The policy for people to read: what the rule files say of themselves, and the data as the rules see it."""

import pytest

from sidecar.policy.bundle import assemble, load, policies_folder
from sidecar.policy.portrait import portrait_of


def rule(text: str, path: str = "remediation/guards/one.rego"):
    bundle = load(policies_folder())
    return portrait_of(assemble(((path, text),), bundle.raw_data)).rules[0]


def test_every_guard_that_ships_says_what_it_is_for():
    portrait = portrait_of(load(policies_folder()))
    guards = [found for found in portrait.rules if found.kind == "guard"]

    assert len(guards) > 10
    assert all(found.title and found.description and found.package.startswith("remediation.guards.") for found in guards)
    assert "environments" in portrait.platform


def test_a_description_over_several_lines_is_one():
    found = rule("# METADATA\n# title: One\n# description: |\n#   first\n#   second\npackage remediation.guards.one\n\nx := 1\n")

    assert (found.title, found.description, found.kind) == ("One", "first second", "guard")


def test_a_file_that_says_nothing_or_nonsense_of_itself_is_named_all_the_same():
    for text in ("package remediation.guards.one\n", "# METADATA\n# title: [\npackage remediation.guards.one\n"):
        found = rule(text)
        assert (found.title, found.package) == ("", "remediation.guards.one")


@pytest.mark.parametrize("said", ["title: " + "1" * 5000, "title: " + "[" * 5000, "title: 'one", "- one"])
def test_what_a_rule_file_says_of_itself_keeps_no_policy_from_judging(said):
    text = f"# METADATA\n# {said}\npackage remediation.guards.one\n"
    found = rule(text)
    assert (found.package, found.title) == ("remediation.guards.one", "")


def test_a_date_that_is_none_is_a_text():
    assert rule("# METADATA\n# title: 2026-99-99\npackage remediation.guards.one\n").title == "2026-99-99"


def test_what_the_rules_are_not_told_is_said() -> None:
    shipped = load(policies_folder())
    data = {**shipped.raw_data, "facts": {"unread": ["helm", "deleting"]}}
    portrait = portrait_of(assemble(shipped.modules, data))

    assert portrait.platform["facts"] == {"unread": ["deleting", "helm"]}

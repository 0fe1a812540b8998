"""A scenario file that is not one says so in one line, and says where."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import scenarios

GOOD: dict[str, Any] = {
    "name": "example",
    "title": "An example",
    "story": "Nothing happens.",
    "question": "Is anything wrong?",
    "cluster": {"nodes": [{"name": "worker-1"}]},
    "truth": {"outcome": "healthy"},
}


def load(folder: Path, document: dict[str, Any] | str) -> scenarios.Scenario:
    path = folder / "example.yaml"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return scenarios.load_file(path)


def test_the_least_that_is_a_scenario_loads(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).truth.outcome == "healthy"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"title": None}, "example.title: is missing"),
        ({"title": 7}, "example.title: str is wanted, not a number"),
        ({"name": "other"}, "example.name: 'other' is not the name of the file"),
        ({"question": None}, "example: a question or an alert is wanted"),
        ({"colour": "red"}, "example: unknown key 'colour'"),
        ({"uses": ["nowhere"]}, "there is no part 'nowhere'"),
        ({"cluster": {"nodes": []}}, "example.cluster.nodes: at least one is wanted"),
        ({"cluster": {"nodes": [{"name": "a", "cpus": 2}]}}, "example.cluster.nodes[0]: unknown key 'cpus'"),
        ({"objects": [{"kind": "Pod"}]}, "example.objects[0]: a manifest with apiVersion, kind and metadata.name is wanted"),
        ({"history": [{"advance": "soon"}]}, "example.history[0].advance: 'soon' is not a duration"),
        ({"history": [{"advance": "1m", "delete": {}}]}, "example.history[0]: exactly one of"),
        ({"behaviours": [{"when": "1 +", "then": {}}]}, "example.behaviours[0].when: condition '1 +' does not compile"),
        ({"behaviours": [{"when": "pods.size() > 1", "then": {}}]}, "example.behaviours[0].when: condition"),
        ({"behaviours": [{"then": {"exit": 300}}]}, "example.behaviours[0].then.exit: an exit code from 0 to 255"),
        ({"truth": {"outcome": "mended"}}, "example.truth.outcome: 'mended' is none of"),
        ({"governance": {"approver": "perhaps"}}, "example.governance.approver: 'perhaps' is none of approve, deny, nobody"),
        ({"alerts": [{"labels": {"severity": "x"}}]}, "example.alerts[0].labels: alertname is missing"),
    ],
)
def test_a_mistake_is_one_line_that_says_where(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    document = {k: v for k, v in (GOOD | change).items() if v is not None}
    with pytest.raises(scenarios.ScenarioError) as caught:
        load(tmp_path, document)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_text_that_is_not_yaml_says_in_which_line(tmp_path: Path) -> None:
    with pytest.raises(scenarios.ScenarioError, match=r"example\.yaml: not YAML in line 3"):
        load(tmp_path, "name: example\ntitle: [unclosed\nstory: x")


def test_a_list_is_not_a_scenario(tmp_path: Path) -> None:
    with pytest.raises(scenarios.ScenarioError, match="a mapping is wanted, not a list"):
        load(tmp_path, "- 1")


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(scenarios.ScenarioError, match=r"there is no scenario 'nope'; there are: .*memory-limit"):
        scenarios.load("nope")


def test_an_unreadable_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(scenarios.ScenarioError, match="cannot be read"):
        scenarios.load_file(tmp_path / "absent.yaml")

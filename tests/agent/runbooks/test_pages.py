"""Pages: all of them load and lint, a bad one is one line with file and number, remedies come out concrete and in order."""

from dataclasses import replace

import pytest

from agent.domain.finding import Finding, RankedCause
from agent.domain.objects import Ref
from agent.errors import InputError
from agent.runbooks import candidates, compile_condition, lint, load_library, shipped_folder
from agent.runbooks.reading import read_page
from sidecar.contract import ChangeFields, CreateObject, RestartWorkload, RollbackWorkload, ScaleWorkload, UncordonNode
from tests.agent.builders import app, asked, observed, topology
from tests.agent.checks.cases import CASES
from tests.agent.reasoning.test_offline import REASONER

LIBRARY = load_library()
GOOD = """---
cause: oom-killed
alerts: [A]
remedies:
  - action: {kind: restart_workload, target: "{subject}"}
    expect: x
verify:
  - {kubernetes: "{subject}", condition: workload-ready, within: 5m}
---
# Meaning
m
# Impact
i
# Diagnosis
d
# Mitigation
m
"""


def offered(cause):
    objects, logs = CASES[cause][1]()
    seen = observed(*objects, logs=logs)
    first = REASONER.diagnose(asked("namespace shop"), seen).causes[0]
    return candidates(first, LIBRARY, REASONER.topology(seen))


def test_every_page_loads_and_nothing_is_missing_between_pages_and_checks():
    assert lint(LIBRARY) == []  # a check without a page, a page without a check, an alert that leads nowhere
    assert len(LIBRARY.pages) >= 90


@pytest.mark.parametrize(
    ("wrong", "right", "line", "words"),
    [
        ("cause: oom-killed", "cause: other", 2, "the file is named oom-killed"),
        ("kind: restart_workload", "kind: run_shell", 5, "no action of the closed union"),
        ("within: 5m", "within: soon", 8, "no duration"),
        ("condition: workload-ready", 'condition: "object.x =="', 8, "no CEL condition"),
        ("condition: workload-ready", "condition: podz-ready", 8, "no CEL condition"),
        ("alerts: [A]", "alerts: [A", 4, "no YAML"),
        ("alerts: [A", "alerts: 2026-13-01 # [A", 1, "no YAML: month must be"),
        ("alerts: [A]", "alerts: [A, A]", 3, "alert A is there twice"),
        ("alerts: [A]", "alerts: ['rm -rf /']", 3, "no name of an alert"),
        ("restart_workload, target", "restart_workload, aim", 5, "restart_workload has no field aim"),
        ("kind: restart_workload", "kind: scale_workload", 5, "scale_workload needs replicas"),
        ('target: "{subject}"', 'target: "{the_subject}"', 5, "{the_subject} means nothing here"),
        ('target: "{subject}"', 'target: "{item}"', 5, "{item} means nothing here"),
        ("alerts: [A]", "ask: [{tool: kubectl}]", 3, "no tool that exists"),
        ("alerts: [A]", "ask: [{tool: logs}]", 3, "settles is missing"),
        ("    expect: x", "    expect: x\n    when: 'finding.'", 7, "no CEL condition"),
        ("alerts: [A]", "alrts: [A]", 3, "unknown field alrts"),
        ("# Impact\ni", "", 1, "section Impact"),
        ("---\ncause", "cause", 1, "no front matter"),
    ],
)
def test_a_bad_page_is_one_line_with_file_and_number(tmp_path, wrong, right, line, words):
    path = tmp_path / "resources" / "oom-killed.md"
    path.parent.mkdir()
    assert wrong in GOOD
    path.write_text(GOOD.replace(wrong, right, 1))
    with pytest.raises(InputError, match=words) as told:
        read_page(path)
    assert str(told.value).startswith(f"{path}:{line}:")
    assert "\n" not in str(told.value)


def test_a_team_lays_its_own_pages_over_those_of_lestrade(tmp_path, monkeypatch):
    (tmp_path / "resources").mkdir()
    own = tmp_path / "resources" / "oom-killed.md"
    own.write_text(GOOD)
    monkeypatch.setenv("LESTRADE_RUNBOOKS", str(tmp_path))

    library = load_library()

    assert library.pages["oom-killed"].path == str(own)
    assert library.pages["oom-killed"].alerts == ("A",)
    assert set(library.pages) == set(LIBRARY.pages)
    assert shipped_folder().is_dir()


def test_a_folder_that_is_not_there_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("LESTRADE_RUNBOOKS", str(tmp_path / "none"))
    with pytest.raises(InputError, match="no such folder"):
        load_library()


@pytest.mark.parametrize("source", ["object.a.b == 1", "object.missing", '"text"', "1", "object.list[5] == 1"])
def test_only_a_plain_true_is_true(source):
    assert compile_condition(source).holds({"object": {"a": {}, "list": []}}) is False


def test_memory_limit_first_and_the_live_value_is_the_one_before():
    first, *_, last = offered("oom-killed")
    (action,) = first.actions

    assert isinstance(action, ChangeFields)
    assert (action.changes[0].before, action.changes[0].after) == ("128Mi", "256Mi")
    assert action.changes[0].path == "/spec/template/spec/containers/0/resources/limits/memory"
    assert action.target.uid.startswith("uid-")
    assert last.human
    assert not last.actions


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        ("bad-release", RollbackWorkload),
        ("scaled-to-zero", ScaleWorkload),
        ("node-cordoned", UncordonNode),
        ("service-selector-mismatch", ChangeFields),
        ("readiness-probe-wrong-port", ChangeFields),
        ("quota-exceeded", ChangeFields),
        ("serviceaccount-missing", CreateObject),
        ("connection-pool-exhausted", RestartWorkload),
    ],
)
def test_the_first_remedy_of(cause, kind):
    assert isinstance(offered(cause)[0].actions[0], kind)


def test_a_field_whose_parent_is_missing_is_set_from_the_highest_missing_part():
    (change,) = offered("hpa-missing-request")[0].actions[0].changes

    assert change.path == "/spec/template/spec/containers/0/resources/requests"
    assert (change.before, change.after) == (None, {"cpu": "100m"})


@pytest.mark.parametrize(
    "cause", ["storageclass-missing", "job-access-denied", "rbac-forbidden", "namespace-finalizer", "node-not-ready"]
)
def test_what_is_for_people_stays_with_people(cause):
    assert all(one.human and not one.actions for one in offered(cause))


def test_a_cause_without_a_page_is_for_a_person():
    finding = Finding(cause="never-heard-of", subject=Ref("Deployment", "shop", "web"), statement="x.")
    (found,) = candidates(RankedCause(finding=finding), LIBRARY, topology(*app("web")))
    assert "no runbook page" in found.human


def test_a_target_that_is_gone_by_now_leaves_it_to_a_person():
    objects, logs = CASES["oom-killed"][1]()
    first = REASONER.diagnose(asked("namespace shop"), observed(*objects, logs=logs)).causes[0]

    found = candidates(replace(first), LIBRARY, topology(*app("other")))

    assert all(not one.actions for one in found)

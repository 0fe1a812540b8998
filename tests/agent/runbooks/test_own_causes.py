"""A platform team adds a page with its own cause in CEL, and no code: it is found, ranked and repaired like any other."""

import asyncio
import json
from dataclasses import replace

import pytest

from agent.bootstrap import Source, workshop
from agent.errors import InputError
from agent.reasoning.offline import OfflineReasoner
from agent.runbooks import candidates, lint, load_library, own_causes, shipped_folder
from agent.runbooks.matching import match_finding
from agent.settings import Settings
from sidecar.contract import ChangeFields
from tests.agent.builders import NOW, app, asked, container, event, lines, log, obj, observed, topology
from tests.agent.checks.cases import CASES

PAGE = """---
cause: mesh-sidecar-too-old
title: The mesh sidecar is older than the mesh
alerts: [MeshSidecarRejected]
detect:
  each: [Deployment, StatefulSet]
  when: 'object.spec.template.spec.containers.exists(c, c.name == "mesh" && c.image.endsWith(":1.0"))'
  says: "{subject} runs the mesh sidecar 1.0, which the mesh turns away since {params.mesh}"
  params:
    index: 'string(object.spec.template.spec.containers.map(c, c.name).size() - 1)'
    mesh: 'others.ConfigMap.filter(c, c.metadata.name == "mesh")[0].data.version'
    image_path: '"/spec/template/spec/containers/1/image"'
  shows:
    - 'object.spec.template.spec.containers[1].image'
  since: object.metadata.creationTimestamp
  weight: 0.9
ask:
  - {tool: changes, target: "{subject}", settles: who rolled it out}
remedies:
  - title: set the sidecar to the version of the mesh
    when: 'has(finding.params.mesh)'
    action: {kind: change_fields, target: "{subject}", changes: [{path: "{params.image_path}", after: "mesh:{params.mesh}"}]}
    expect: pods of {subject} become ready
  - human: ask the mesh team
verify:
  - {kubernetes: "{subject}", condition: workload-ready, within: 5m}
---
# Meaning
The sidecar in the pods is from a release that the mesh does not speak with any more.

# Impact
Calls fail.

# Diagnosis
Compare the versions.

# Mitigation
Set the sidecar to the version of the mesh.
"""
SPECIAL = """---
cause: oom-in-tills
title: A till is killed for memory
when: 'finding.cause == "oom-killed" && finding.subject.namespace == "tills"'
remedies:
  - human: call the shop first
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


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mesh").mkdir()
    (tmp_path / "mesh" / "mesh-sidecar-too-old.md").write_text(PAGE)
    return tmp_path


def world(version="1.0"):
    boxes = [container(), container("mesh", f"mesh:{version}")]
    return [*app("web", containers=boxes), obj("ConfigMap", "mesh", data={"version": "1.4"})]


def diagnosed(library, objects, question="What is wrong in namespace shop?"):
    reasoner = OfflineReasoner(own_causes(library))
    return reasoner.diagnose(asked(question), observed(*objects))


def test_the_cause_is_found_with_a_statement_of_the_page_and_what_it_rests_on(folder):
    found = diagnosed(load_library(folder), world())

    assert found.outcome == "fault"
    finding = found.causes[0].finding
    assert finding.cause == "mesh-sidecar-too-old"
    assert str(finding.subject) == "Deployment shop/web"
    assert finding.statement == "Deployment shop/web runs the mesh sidecar 1.0, which the mesh turns away since 1.4."
    assert finding.quotes[0].text == "object.spec.template.spec.containers[1].image is mesh:1.0"
    assert finding.since is not None
    assert finding.since <= NOW
    assert found.causes[0].confidence > 0.5


def test_where_the_condition_does_not_hold_nothing_is_wrong(folder):
    assert diagnosed(load_library(folder), world("1.4")).outcome == "healthy"


def test_without_the_page_nobody_knows_the_cause():
    assert diagnosed(load_library(), world()).outcome == "healthy"


def test_its_remedy_is_a_typed_action_on_the_live_object(folder):
    library, objects = load_library(folder), world()
    cause = diagnosed(library, objects).causes[0]

    first, last = candidates(cause, library, topology(*objects))

    (action,) = first.actions
    assert isinstance(action, ChangeFields)
    assert (action.changes[0].before, action.changes[0].after) == ("mesh:1.0", "mesh:1.4")
    assert last.human == "ask the mesh team"


def test_a_whole_run_ends_with_the_cause_and_the_page_of_the_team(folder, tmp_path):
    snapshot = tmp_path / "cluster.json"
    snapshot.write_text(json.dumps({"snapshot": 1, "cluster": {"name": "c"}, "now": "2026-05-04T12:00:00Z", "objects": world()}))
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'runs.sqlite'}", runbooks=folder)

    async def investigated():
        async with workshop(settings, Source(snapshot=snapshot)) as shop:
            row, _ = await shop.take(question="Why does web fail?")
            await shop.work(row)
            return await shop.report(row.id)

    report = asyncio.run(investigated())

    assert report.diagnosis.causes[0].finding.cause == "mesh-sidecar-too-old"
    assert report.runbook.endswith("mesh/mesh-sidecar-too-old.md")
    assert any("version of the mesh" in one.text or "change fields" in one.text for one in report.follow_ups)


def test_a_page_may_be_about_events_logs_pods_and_age(folder):
    page = folder / "mesh" / "licence-over.md"
    page.write_text(
        PAGE.replace("cause: mesh-sidecar-too-old", "cause: licence-over")
        .replace("title: The mesh sidecar is older than the mesh", "title: licence")
        .split("detect:")[0]
        + "detect:\n  each: Deployment\n"
        '  when: \'logs.exists(l, l.contains("licence expired")) && events.exists(e, e.reason == "Unhealthy")'
        ' && pods.size() == 2 && timestamp(now) - timestamp(object.metadata.creationTimestamp) > duration("30m")'
        " && !has(namespaceObject.metadata)'\n"
        '  says: "the licence of {name} is over"\n'
        "remedies: [{human: renew it}]\n---" + PAGE.split("---")[2]
    )
    objects = app("web")
    pod = next(one for one in objects if one["kind"] == "Pod")
    seen = topology(*objects, event(pod, "Unhealthy", "probe failed"), logs=[log(pod, lines("licence expired"))])

    found = list(own_causes(load_library(folder))(seen))

    assert [one.statement for one in found] == ["the licence of web is over."]
    assert list(own_causes(load_library(folder))(topology(*objects))) == []


def test_a_page_may_be_for_some_findings_of_a_cause_only(folder):
    (folder / "mesh" / "oom-in-tills.md").write_text(SPECIAL)
    library = load_library(folder)
    assert lint(library) == []
    objects, logs = CASES["oom-killed"][1]()
    finding = OfflineReasoner().diagnose(asked("namespace shop"), observed(*objects, logs=logs)).causes[0].finding

    assert match_finding(finding, library)[0].page.cause == "oom-killed"
    moved = replace(finding, subject=replace(finding.subject, namespace="tills"))
    (match,) = match_finding(moved, library)
    assert match.page.cause == "oom-in-tills"
    assert "its condition holds" in match.why


@pytest.mark.parametrize(
    ("wrong", "right", "line", "words"),
    [
        ("each: [Deployment, StatefulSet]", "each: []", 6, "each names no kind"),
        ("each: [Deployment, StatefulSet]", "each: deployments", 6, "each names no kind"),
        ("when: 'object.spec", "when: 'objekt.spec", 7, "at column 26: undeclared reference to 'objekt"),
        ("mesh: 'others", "mesh: '(others", 11, "no CEL expression"),
        ("weight: 0.9", "weight: 7", 16, "weight is no number"),
        ("  shows:", "  show:", 13, "unknown field show in detect"),
        ("{params.mesh}", "{version}", 8, "{version} means nothing here"),
    ],
)
def test_a_bad_detection_is_one_line_with_file_and_line(folder, wrong, right, line, words):
    path = folder / "mesh" / "mesh-sidecar-too-old.md"
    assert wrong in PAGE
    path.write_text(PAGE.replace(wrong, right, 1))
    with pytest.raises(InputError) as told:
        load_library(folder)
    assert str(told.value).startswith(f"{path}:{line}:")
    assert words in str(told.value)


def test_the_example_of_the_documentation_is_a_page_that_can_be_used(tmp_path):
    text = (shipped_folder().parent / "docs" / "runbooks.md").read_text("utf-8")
    example = text.split("```yaml\n")[1].split("```")[0].replace("# Meaning\n...", "") + PAGE.split("---")[2]
    (tmp_path / "mesh").mkdir()
    (tmp_path / "mesh" / "mesh-sidecar-too-old.md").write_text(example)

    library = load_library(tmp_path)

    assert diagnosed(library, world()).causes[0].finding.cause == "mesh-sidecar-too-old"
    assert [one for one in lint(library) if "mesh" in one] == []

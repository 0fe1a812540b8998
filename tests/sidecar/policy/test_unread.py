"""Facts that no rule reads are kept from the engine; a rule that reads one all the same is never admitted."""

import re
from collections.abc import Callable, Iterator
from typing import get_args

import orjson
import pytest
import yaml

from sidecar.contract import Json
from sidecar.errors import BundleRefused
from sidecar.policy import PolicyBundle, RegoJudge, admission, unread
from sidecar.policy.bundle import DATA, assemble, load
from sidecar.policy.caged import EmbeddedEngine
from sidecar.policy.cases import as_input, failure, found, read
from sidecar.policy.source import PolicySource
from sidecar.policy.unread import SECTIONS, Unread
from sidecar.ports import nothing
from tests.servers import ROOT, running_opa
from tests.sidecar.policy.builders import ALLOWS_ALL, SHIPPED, facts, plan

OF_TARGET = set(get_args(Unread)) - SECTIONS
TARGET = "Deployment/shop/checkout"
PLACE = f"/targets/{TARGET.replace('/', '~1')}"
READS_LABELS = """package remediation

default decision := {"verdict": "deny", "reasons": [], "approvals": null, "lease_seconds": 0}

decision := {"verdict": "allow", "reasons": [], "approvals": null, "lease_seconds": 900} if {
	some _, target in input.facts.targets
	LOOK
}
"""
CASE = {"name": "as it is", "document": "scale", "expect": {"verdict": "allow"}}


def bundle(decision: str, *names: str, custom: Json = None, cases: Json = None) -> PolicyBundle:
    data: dict[str, Json] = {**SHIPPED.raw_data, "facts": {"unread": [*names]}, "custom": custom or {}}
    given = (("remediation/decision_cases.yaml", cases),) if cases is not None else ()
    return assemble((("remediation/decision.rego", decision),), data, documents=SHIPPED.documents, cases=given)


class Listening:
    """An engine that keeps what it is asked."""

    revision = "r1"

    def __init__(self) -> None:
        self.asked: dict[str, Json] = {}

    def ask(self, document: dict[str, Json], *, meanwhile: Callable[[], None] = nothing) -> Json:
        self.asked = document
        return {"verdict": "allow", "reasons": [], "approvals": None, "lease_seconds": 900}

    def why_not(self) -> str:
        return ""


def test_the_engine_is_told_everything_but_what_is_not_read_and_the_decision_names_all_of_it() -> None:
    engine, known = Listening(), facts()
    told = RegoJudge(engine, zones=(), unread=frozenset({"labels", "live", "adds"})).decide(plan(), known)

    asked = orjson.loads(orjson.dumps(engine.asked["facts"]))
    given = orjson.loads(orjson.dumps(known.document))
    assert given["targets"][TARGET]["labels"]
    del given["adds"], given["targets"][TARGET]["labels"], given["targets"][TARGET]["live"]
    assert asked == given
    assert [name for name in asked["namespaces"].values() if name["labels"]], "labels of namespaces are another fact"
    assert told.facts == known.digest == facts().digest


@pytest.mark.parametrize("targets", [None, [], "x", {TARGET: None}, {TARGET: ["labels"]}])
def test_what_is_not_of_the_facts_shape_is_left_for_the_rules_to_deny(targets: Json) -> None:
    assert unread.told({"targets": targets}, frozenset({"labels", "adds"})) == {"targets": targets}
    assert unread.told({}, frozenset({"labels"})) == {}


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("target.labels.tier == 1", "labels"),
        ('target["labels"].tier == 1', "labels"),
        ("target[`labels`].tier == 1", "labels"),
        ('object.get(target, "labels", {}) == {}', "labels"),
        ('object.get(target, ["labels", "tier"], "") == ""', "labels"),
        ('object.get(target, "/labels/tier", "") == ""', "labels"),
        ('object.get(input, "facts.labels", "") == ""', "labels"),
        ("target.owners[0].kind == 1", "owners"),
        ("some labels in [target]; labels.x == 1", "labels"),
        ('some name, _ in target; regex.match("^(labels|owners)$", name)', "labels"),
        ('some name in split("owners,labels", ","); target[name]', "labels"),
        ("input.facts.adds[_].cpu_millis > 5", "adds"),
        ("data.platform.custom.workloads == 1", "workloads"),
    ],
)
def test_a_rule_that_names_such_a_fact_is_refused_by_file_and_line(line: str, name: str) -> None:
    text = READS_LABELS.replace("LOOK", line)
    fault = rf"^remediation/decision\.rego:7: {name} is named here, and said to be read by no rule: take it off facts\.unread"
    with pytest.raises(BundleRefused, match=fault):
        bundle(text, "images", name)
    bundle(text, "images", "helm")


def test_a_sentence_or_a_comment_may_hold_the_word_and_data_of_ones_own_may_not() -> None:
    text = READS_LABELS.replace("LOOK", 'target.uid != "the labels of it" # labels')
    unread.check(bundle(text, "labels").modules, {"words": ["the labels"]}, frozenset({"labels"}))
    for custom in ({"ask": [{"for": "labels"}]}, {"labels": 1}, {"a": "/targets/labels"}):
        with pytest.raises(
            BundleRefused, match=r"^platform/data\.yaml: custom names labels, which is said to be read by no rule"
        ):
            bundle(text, "labels", custom=custom)


def test_cases_are_tried_as_the_engine_gets_them() -> None:
    """A rule that goes through everything names nothing: its own case shows it."""
    of_target = found(facts().document, PLACE)
    assert "annotations" in of_target
    counting = READS_LABELS.replace("LOOK", f"count(target) == {len(of_target)}")
    for names, fault in (((), ""), (("annotations",), "deny instead of allow, by no rule")):
        it = bundle(counting, *names, cases=[CASE])
        [case] = read(it)
        engine = EmbeddedEngine(it)
        try:
            assert failure(case, engine) == fault
        finally:
            engine.close()
        assert ("annotations" in found(as_input(SHIPPED.documents["scale"], it), f"/facts{PLACE}")) == (not names)


@pytest.mark.parametrize(
    "look",
    ["count(target) == COUNT", 'some name, value in target; startswith(name, "annot"); value != 7', "input.facts == input.facts"],
)
def test_a_rule_that_reads_one_without_its_name_is_found_by_telling_it_everything(look: str) -> None:
    reads = "input" not in look
    whole = found(facts().document, PLACE)
    text = READS_LABELS.replace("LOOK", look.replace("COUNT", str(len(whole))))
    it = bundle(text, "annotations", cases=[{**CASE, "expect": {"verdict": "deny" if reads else "allow", "rules": []}}])

    *_, tried = _until_found(it)

    said = "judged otherwise once everything is told: a rule reads, without its name, one of facts.unread in platform/data.yaml"
    assert (f"remediation/decision_cases.yaml: as it is: {said}" in tried.faults) == reads
    assert (f"cases/scale.yaml: {said}" in tried.faults) == reads


def test_the_rules_do_not_see_the_list() -> None:
    assert "facts" not in bundle(ALLOWS_ALL, "labels").data["platform"]


def test_it_holds_for_both_engines_from_the_files_to_the_verdict(tmp_path) -> None:
    """By a rule that counts what a target has: of all that can be named, existence and uid alone are left."""
    (tmp_path / "platform").mkdir()
    (tmp_path / "remediation").mkdir()
    (tmp_path / "remediation" / "decision.rego").write_text(READS_LABELS.replace("LOOK", "count(target) == 2"))
    data = {**SHIPPED.raw_data, "facts": {"unread": [*OF_TARGET]}}
    (tmp_path / DATA).write_text(yaml.safe_dump(data))
    (tmp_path / admission.SEAL).write_text(admission.seal_of(load(tmp_path)))
    with running_opa() as server:
        for url in ("", server.url):
            judge = PolicySource.of(tmp_path, None, url).admitted().judge
            assert judge.decide(plan(), facts()).verdict == "allow"


def test_a_name_that_is_no_fact_is_refused_with_those_that_are() -> None:
    with pytest.raises(BundleRefused, match=r"facts\.unread\.0: Input should be 'adds', .*'annotations', .*'workload'"):
        bundle(ALLOWS_ALL, "lables")


def test_it_is_part_of_the_revision_and_every_name_is_in_the_docs() -> None:
    assert bundle(ALLOWS_ALL).revision != bundle(ALLOWS_ALL, "labels").revision
    said = (ROOT / "docs" / "policies.md").read_text().partition("These can be named: of each target ")[2].partition(". ")[0]
    of_target, _, of_whole = said.partition("of the whole")
    assert set(re.findall(r"`(\w+)`", of_target)) == OF_TARGET
    assert set(re.findall(r"`(\w+)`", of_whole)) == set(get_args(Unread)) - OF_TARGET
    assert SHIPPED.unread == frozenset(), "whoever adds a guard to the shipped ones may read everything"


def _until_found(it: PolicyBundle) -> Iterator[admission.Findings]:
    """As long as it takes until each of the documents was asked about once: what is spoilt is for other tests."""
    engine = EmbeddedEngine(it)
    try:
        for findings in admission.examine(it, engine, "data"):
            yield findings
            if findings.spoilt > 60:
                return
    finally:
        engine.close()

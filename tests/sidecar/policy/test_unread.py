"""Facts that no rule reads are kept from the engine; a rule that reads one all the same is never admitted."""

import re
from collections.abc import Callable
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
from sidecar.policy.current import Admitted, CurrentPolicy
from sidecar.policy.replay import replayed
from sidecar.policy.source import PolicySource
from sidecar.policy.unread import SECTIONS, Unread
from sidecar.ports import Facts, nothing
from tests.servers import ROOT, running_opa
from tests.sidecar.policy.builders import ALLOWS_ALL, NOW, SHIPPED, facts, plan
from tests.sidecar.policy.test_replay import record

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


def test_what_was_left_out_for_other_rules_is_no_ground_for_a_verdict() -> None:
    """The rules were replaced meanwhile: those that came read more. So is what the record of another day has."""
    engine, known = Listening(), facts()
    less = Facts(document=known.document, missing=(), gathered_at=known.gathered_at, unread=frozenset({"labels", "adds"}))

    for reads in (frozenset(), frozenset({"adds", "live"})):
        judge = RegoJudge(engine, zones=(), unread=reads)
        decision = judge.decide(plan(), less)
        assert (decision.verdict, engine.asked) == ("deny", {})
        assert decision.reasons[0].rule == "policy-unavailable"
        assert decision.reasons[0].message.startswith("no verdict: the rules read facts that were not looked up: ")
        assert decision.reasons[0].message.endswith("adds, labels" if not reads else "up: labels")

    assert RegoJudge(engine, zones=(), unread=frozenset({"labels", "adds", "live"})).decide(plan(), less).verdict == "allow"
    assert "live" not in found(engine.asked, f"/facts{PLACE}")


def test_the_policy_that_is_current_says_what_is_not_read_and_none_of_it_before_there_is_one() -> None:
    current = CurrentPolicy()
    assert current.unread == frozenset()
    judge = RegoJudge(Listening(), zones=(), unread=frozenset({"adds"}))
    current.put(Admitted(judge=judge, engine="embedded"), at=NOW)
    assert current.unread == frozenset({"adds"})


def test_replay_by_rules_that_read_more_says_that_it_cannot_tell() -> None:
    kept = record(unread=["labels"])
    says = "no verdict: the rules read facts that were not looked up: labels"
    for reads, unknown in ((frozenset(), says), (frozenset({"labels"}), "")):
        (again,) = replayed([kept], RegoJudge(Listening(), zones=(), unread=reads))
        assert (again.unknown, again.changed) == (unknown, False)


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
        ("input.facts.adds[_].cpu_millis > 5", "adds"),
        ("data.platform.custom.workloads == 1", "workloads"),
    ],
)
def test_a_rule_that_names_such_a_fact_is_refused_by_file_and_line(line: str, name: str) -> None:
    text = READS_LABELS.replace("LOOK", line)
    fault = rf"^remediation/decision\.rego:7: {name} is named here, and said to be read by no rule: take it off facts\.unread"
    with pytest.raises(BundleRefused, match=fault):
        admission.check_text(bundle(text, "images", name))
    with pytest.raises(BundleRefused, match=fault):
        admission.tried(bundle(text, "images", name))
    unread.check(bundle(text).modules, {}, frozenset({"images", "helm"}))


def test_a_sentence_or_a_comment_may_hold_the_word_and_data_of_ones_own_may_not() -> None:
    text = READS_LABELS.replace("LOOK", 'target.uid != "the labels of it" # labels')
    unread.check(bundle(text, "labels").modules, {"words": ["the labels"]}, frozenset({"labels"}))
    for custom in ({"ask": [{"for": "labels"}]}, {"labels": 1}, {"a": "/targets/labels"}):
        with pytest.raises(
            BundleRefused, match=r"^platform/data\.yaml: custom names labels, which is said to be read by no rule"
        ):
            admission.check_text(bundle(text, "labels", custom=custom))


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

"""A bundle is admitted only when nothing spoilt passes it (D2, D4, D5)."""

import re
from copy import deepcopy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.contract import Json
from sidecar.errors import BundleRefused
from sidecar.policy import admission, builtins, load, names, open_judge, policies_folder
from sidecar.policy.admission import SEAL, examine, seal_in, seal_of, tried
from sidecar.policy.bundle import assemble
from sidecar.policy.caged import EmbeddedEngine
from sidecar.policy.cases import edited
from sidecar.policy.hostile import spoilt
from tests.sidecar.policy.builders import ALLOWS_ALL, DENY_STYLE, SHIPPED, SLOW_ON_DEMAND, bundle_of, facts, plan


def test_the_shipped_bundle_is_sealed_as_it_is() -> None:
    """After a change of the rules: lestrade-sidecar policy check policies --seal."""
    assert seal_in(policies_folder()) == seal_of(SHIPPED)


def test_a_bundle_without_a_seal_is_tried_before_it_judges(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("lease: {seconds: 600}\n")

    judge = open_judge(directory=policies_folder(), overlay=tmp_path / "data.yaml")

    decision = judge.decide(plan(), facts())
    assert (decision.verdict, decision.lease_seconds) == ("allow", 600)
    assert decision.revision == judge.revision != SHIPPED.revision


@pytest.mark.parametrize("text", [ALLOWS_ALL, DENY_STYLE], ids=["allows everything", "deny style"])
def test_a_bundle_that_lets_something_spoilt_through_is_refused_with_the_input(text: str) -> None:
    with pytest.raises(BundleRefused, match=r"cases/\w+\.yaml with .+: allow, where only a denial may come"):
        tried(bundle_of(text))


def test_a_deny_style_bundle_lets_much_through_and_all_of_it_is_named() -> None:
    bundle = bundle_of(DENY_STYLE)
    engine = EmbeddedEngine(bundle)
    try:
        *_, findings = examine(bundle, engine, "short")
    finally:
        engine.close()

    named = "\n".join(findings.faults)
    assert "/plan missing" in named
    assert "/plan/steps is {}" in named
    assert "the target is a Secret" in named


def test_that_no_answer_came_in_time_is_neither_a_fault_nor_a_denial() -> None:
    for bundle, tries, faults in ((SHIPPED, 1, 0), (bundle_of(ALLOWS_ALL), 1, 1)):
        engine = EmbeddedEngine(bundle, seconds=0)
        tried_so_far = examine(bundle, engine, "short")
        next(tried_so_far)
        findings = next(tried_so_far)
        engine.close()

        assert (findings.cases + findings.spoilt, len(findings.faults)) == (tries, faults), findings.faults


def test_a_bundle_does_not_choose_what_it_is_tried_with() -> None:
    """Its own document of a name that the product has is tried beside the product's."""
    decision = ALLOWS_ALL.replace("900}", '900} if input.facts.cluster.environment == "dev"')
    denied = deepcopy(SHIPPED.documents)
    for document in denied.values():
        edited(document, "/facts/cluster/environment", "nowhere")
    bundle = assemble((("remediation/decision.rego", decision),), SHIPPED.raw_data, documents=denied)

    with pytest.raises(BundleRefused, match=r"cases/\w+\.yaml with .+: allow"):
        tried(bundle)


@pytest.mark.parametrize(
    "document", [{"plan": {}, "facts": {}}, {"plan": {"steps": []}}, [], "scale", None, {"plan": {"steps": {"0": 1}}}]
)
def test_a_document_that_is_none_is_refused_in_one_line(document: Json) -> None:
    with pytest.raises(BundleRefused, match=r"cases/mine\.yaml is no whole document"):
        admission._ways("mine", document, "all")


def test_rules_that_take_for_ever_are_refused_after_a_few_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes all of the time that there is, and for hours no better bundle would be looked at."""
    monkeypatch.setattr(admission, "_PATIENCE", 0.05)
    bundle = bundle_of(SLOW_ON_DEMAND)
    engine = EmbeddedEngine(bundle, seconds=0.05)

    *_, findings = examine(bundle, engine, "short")
    engine.close()

    assert findings.spoilt < 100
    assert any(fault.startswith("the rules take too long: no verdict") for fault in findings.faults)


def test_a_seal_of_other_content_counts_for_nothing(tmp_path: Path) -> None:
    for path in policies_folder().rglob("*"):
        if path.is_file():
            to = tmp_path / path.relative_to(policies_folder())
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(path.read_bytes())
    (tmp_path / "remediation" / "decision.rego").write_text(ALLOWS_ALL)

    with pytest.raises(BundleRefused):
        open_judge(directory=tmp_path)


def test_data_laid_over_the_bundle_is_not_held_to_the_cases_below_it(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text(
        "freezes: [{name: year end, environments: [dev], from: '2020-01-01T00:00:00Z', until: '2099-01-01T00:00:00Z'}]\n"
    )

    decision = open_judge(directory=policies_folder(), overlay=tmp_path / "data.yaml").decide(plan(), facts())

    assert [reason.rule for reason in decision.reasons] == ["change-freeze"]


def test_data_that_opens_what_nobody_may_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text(
        "fenced: {namespaces: [nothing], namespace_prefixes: [], kinds: [Nothing]}\n"
        "creatable: [{api_version: rbac.authorization.k8s.io/v1, kind: RoleBinding}]\n"
    )

    with pytest.raises(BundleRefused, match="where only a denial may come"):
        open_judge(directory=policies_folder(), overlay=tmp_path / "data.yaml")


def test_an_empty_overlay_is_the_bundle_itself(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("{}\n")

    assert open_judge(overlay=tmp_path / "data.yaml").revision == SHIPPED.revision


def test_a_bundle_that_denies_everything_is_safe() -> None:
    text = 'package remediation\n\ndecision := {"verdict": "deny", "reasons": [], "approvals": null, "lease_seconds": 0}\n'

    tried(bundle_of(text)).close()


FORBIDDEN = [
    "http.send({})", "opa.runtime()", 'net.lookup_ip_addr("x")', 'time.now_ns()', 'rand.intn("x", 3)', 'uuid.rfc4122("x")',
    'io.jwt.decode("x")', 'json.match_schema({}, {})', 'crypto.sha256("x")', 'print("x")', 'trace("x")', "rego.metadata.rule()",
    'regex.template_match("x", "y", "{", "}")', 'object["get"]({}, "a", 1)', 'http["send"]({})', 'sprintf("%q", [1])',
    'sprintf("%v", [1])', "sprintf(input.format, [1])", 'glob.match("*", [], "x")', "data.secrets.all", 'data["platform"]',
    "unknown_call(1)", "max([101, 2])", "min([10, 9])", 'graph.reachable({}, {})',
    "input.x with input.x as 1", "count([1]) with count as http.send",
]  # fmt: skip


@pytest.mark.parametrize("call", FORBIDDEN)
def test_a_call_that_is_not_permitted_is_named_with_its_line(call: str) -> None:
    text = f"package remediation\n\n# a comment may say http.send\ndecision := x if x := {call}\n"

    with pytest.raises(BundleRefused, match=r"^remediation/decision\.rego:4: "):
        builtins.check((("remediation/decision.rego", text),))


@pytest.mark.parametrize(
    "text",
    [
        "package system.authz\n",
        "package remediation\nimport data.other\n",
        'package remediation\nx := $"{1}"\n',
        'package remediation\nx := "open\n',
    ],
)
def test_what_lies_outside_of_the_rules_is_refused(text: str) -> None:
    with pytest.raises(BundleRefused):
        builtins.check((("remediation/x.rego", text),))


TRICKS = {
    "a call as a rule's value": "most := max([1, 2]) if input.plan",
    "a call on the left of a comparison": "y if { max([1, 2]) = 2 }",
    "a call by brackets": 'y := input["parse"]("http://x")',
    "a built-in of a newer OPA": 'y := uri.parse("http://x")',
    "a function with the name of a built-in": "count(x) := 0",
    "a function with the first name of built-ins": "uri(x) := 0",
    "an import with the name of a built-in": "import data.remediation.plan as count",
    "an import that ends as a built-in": "import input.json",
    "data beside the rules'": "import data.remediationx.plan",
    "input as a variable": 'y if { input := {"a": 1}; input.a == 1 }',
    "input as an element": 'y if { some x, input in [{"a": 1}]; input.a == 1 }',
    "input as an argument": "f(x, input) := input.a",
    "input in a pattern": 'y if { [x, {"a": input}] := [1, {}]; input.a }',
    "input in an argument's pattern": "f([input]) := 1",
    "a number in another base": "y := format_int(10, 2)",
    "an empty set that is none": "y := set(1)",
    "a verb behind a percent sign": 'y := sprintf("%%%v", [1])',
    "input as an import": "import data.remediation.plan as input",
    "a part of the data as a rule": "data.platform.fenced := {}",
    "a body without if": "deny { true }",
    "a set of the old kind": 'deny["x"] { true }',
    "an else without if": "y := 1 if { false } else { true }",
    "a comment that ends early": "# said\rdeny := set()",
    "a text that turns round": 'y := "\u202eyx"',
    "a space that is none": "y\u00a0:= 1",
    "an escape that is not read": 'y := "pr\\u006fd"',
    "more digits than are kept": "y := 9007199254740993",
    "a fraction that is not kept": "y := 0.0000001",
    "an exponent": "y := 1e400",
    "the next language": "import rego.v2",
    "a word of the next language": "y if { true or false }",
    "a name that the next language takes": "y := or if some or in input.plan.steps",
}


@pytest.mark.parametrize("line", TRICKS.values(), ids=TRICKS.keys())
def test_what_one_reader_takes_for_something_else_than_another_is_refused(line: str) -> None:
    with pytest.raises(BundleRefused, match=r"^remediation/x\.rego:3: "):
        builtins.check((("remediation/x.rego", f"package remediation.x\n\n{line}\n"),))


@pytest.mark.parametrize(
    "line",
    [
        "deny contains 1 if { some step in input.plan.steps; stpe.action.kind == 1 }",
        "deny contains 1 if limt < 3",
        "deny contains 1 if not allowd",
        "deny contains 1 if { x := 1; y.z > x }",
        "deny contains plan.largest([1])",
    ],
)
def test_a_guard_that_asks_for_what_nobody_gives_is_refused_for_it_would_never_speak(line: str) -> None:
    """So would a server; the embedded engine takes it."""
    with pytest.raises(BundleRefused, match=r"^remediation/x\.rego:3: \w+ is no rule, import or variable here"):
        names.check((("remediation/x.rego", f"package remediation.x\n\n{line}\n"),))


def test_what_is_given_somewhere_is_no_slip_of_the_pen() -> None:
    text = """package remediation.x

import data.remediation.plan
import input.facts as known

deny contains i if {
	plan.largest([1]) > elsewhere
	some i, step in known.steps
	step.a[i].b.c == limit
	not other.here
	input.l[j].x == j
	[a, {"k": b}] := pair
	a.x == b.x
	walk(input, [path, value])
	value.y == path[0]
	array.concat([], path) != set()
}

pair := input.pair

limit := 3

other.here if true

f(of, {"x": one}) := of.y if one.z == 1
"""
    names.check((("remediation/x.rego", text), ("remediation/y.rego", "package remediation.x\n\nelsewhere := 1\n")))
    names.check(SHIPPED.modules)


@pytest.mark.parametrize("name", ["decision.rego?x.rego", "a#b.rego", "a%2fb.rego", "a b.rego", "é.rego", "-x.rego", "..rego"])
def test_a_module_whose_name_a_server_would_take_for_another_one_is_refused(name: str) -> None:
    """OPA would put what is in `decision.rego?x.rego` in the place of decision.rego."""
    with pytest.raises(BundleRefused, match="a module's name"):
        builtins.check((("remediation/decision.rego", ALLOWS_ALL), (f"remediation/{name}", ALLOWS_ALL)))


def test_a_package_in_brackets_is_refused() -> None:
    with pytest.raises(BundleRefused, match="words and dots"):
        builtins.check((("remediation/x.rego", 'package remediation["guards"].x\n'),))


def test_functions_of_ones_own_and_words_in_texts_are_permitted() -> None:
    text = """package remediation.guards.mine

import data.remediation.plan as whole

deny contains reason if {
	some step in input.plan.steps
	not small(step)
	reason := {"rule": "mine", "step": step.id, "message": "see http.send and time.now_ns()"}
}

small(step) if whole.whole(step.action.replicas, 0, 3)

small(step) if step.action.kind != `opa.runtime`

default most(_) := 1.5

few if every step in input.plan.steps { small(step) }

few if every word in {"a", "b"} {
	word != "\\"\\n"
}

kinds[step.id] := {step.action.kind} if some step in input.plan.steps

said := sprintf("%d%% of %s, 100%%", [1, format_int(count([input, {"whole": input}]), 10)])

none if count(input["steps"] | set()) == 0

wide := object.get(input, "wide", [x | some x in {1}]) if count(input["steps"]) > 0
else := count({1, 2}) if is_object(input)
"""
    builtins.check((("remediation/guards/mine.rego", text),))


def test_packages_that_use_each_other_in_a_circle_are_refused() -> None:
    one = ("remediation/one.rego", "package remediation.one\n\nf(x) := data.remediation.two.g(x)\n\nh(x) := x\n")
    two = ("remediation/two.rego", "package remediation.two\n\ng(x) := data.remediation.one.h(x)\n")

    with pytest.raises(BundleRefused, match="circle"):
        tried(bundle_of(ALLOWS_ALL, one, two))


def test_a_module_that_does_not_compile_is_refused() -> None:
    bundle = bundle_of(ALLOWS_ALL, ("remediation/broken.rego", "package remediation.broken\n\nx := [1 |"))

    with pytest.raises(BundleRefused, match=r"does not compile|brings the embedded engine down"):
        tried(bundle)


def test_a_case_that_fails_keeps_the_bundle_out(tmp_path: Path) -> None:
    (tmp_path / "remediation" / "guards").mkdir(parents=True)
    (tmp_path / "remediation" / "guards" / "mine_cases.yaml").write_text(
        "- {name: a wish, document: scale, expect: {verdict: deny, rule: mine}}\n"
    )

    with pytest.raises(BundleRefused, match=re.escape("mine_cases.yaml: a wish: allow instead of deny")):
        open_judge(directory=policies_folder(), overlay=tmp_path)


def test_a_guard_of_ones_own_in_an_overlay_is_found_and_heard(tmp_path: Path) -> None:
    (tmp_path / "remediation" / "guards").mkdir(parents=True)
    (tmp_path / "remediation" / "guards" / "mine.rego").write_text(
        "package remediation.guards.mine\n\n"
        'deny contains {"rule": "mine", "message": "not on my watch"} if input.plan.cluster == "main"\n'
    )
    (tmp_path / "remediation" / "guards" / "mine_cases.yaml").write_text("[]\n")
    overlaid = load(policies_folder(), tmp_path)
    engine = EmbeddedEngine(overlaid)
    try:
        said = engine.ask({**overlaid.documents["scale"], "clock": {}})  # type: ignore[dict-item]
    finally:
        engine.close()

    assert isinstance(said, dict)
    assert [reason["rule"] for reason in said["reasons"]] == ["mine"]  # type: ignore[index, union-attr, call-overload]


def test_the_battery_spoils_every_document_in_many_ways() -> None:
    for name, document in SHIPPED.documents.items():
        ways = [what for what, _ in spoilt(document)]
        assert len(ways) > 200, name
        assert all(wrong != document for _, wrong in spoilt(document))

    assert SEAL == "admitted.txt"


WORDS = st.sampled_from(
    [
        "input",
        "data",
        "data.platform",
        "input.x",
        "package",
        "import",
        "as",
        "some",
        "every",
        "in",
        "if",
        "else",
        "default",
        "contains",
        "with",
        "count",
        "x",
        "max",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":=",
        "=",
        "|",
        ".",
        "1",
        "1e9",
        '"a"',
        "`b`",
    ]
)


@settings(max_examples=200, deadline=None)
@given(words=st.lists(WORDS, max_size=12))
def test_whatever_the_words_it_is_permitted_or_refused_in_one_line(words: list[str]) -> None:
    said = "remediation/x.rego:1: it is permitted"
    try:
        builtins.check((("remediation/x.rego", " ".join(words)),))
    except BundleRefused as exc:
        said = str(exc)
    assert re.match(r"remediation/x\.rego:1: [^\n]+$", said)

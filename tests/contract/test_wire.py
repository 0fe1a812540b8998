"""What the wire takes, and what it refuses before anybody looks at it."""

import json
import math
from datetime import datetime
from typing import get_args
from uuid import UUID

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.contract import Action, MalformedMessage, ObjectRef, Plan, canonical, digest, parse, target_of

REF = {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "checkout", "uid": "u-1"}
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-(2**52), 2**52).filter(lambda value: value != 0)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), inner, max_size=4)
    ),
    max_leaves=20,
)


def document(**changes):
    step = {"id": "step-1", "action": {"kind": "scale_workload", "target": REF, "replicas": 6}, "why": "w", "expect": "e"}
    base = {
        "incident": "inc-1",
        "attempt": 1,
        "cluster": "lab",
        "cause": {"slug": "scaled-to-zero", "subject": REF},
        "hypothesis": "it was scaled away",
        "steps": [step],
    }
    return {**base, **changes}


def raw(**changes) -> bytes:
    return json.dumps(document(**changes)).encode()


def with_action(**action) -> bytes:
    return raw(steps=[{"id": "step-1", "action": action, "why": "w", "expect": "e"}])


def test_key_order_and_number_spelling_do_not_change_the_digest():
    plain = Plan.from_bytes(raw())
    backwards = json.dumps(dict(reversed(document().items()))).replace('"replicas": 6', '"replicas": 6.0').encode()

    assert Plan.from_bytes(backwards).digest == plain.digest


def test_one_changed_value_changes_the_digest():
    assert Plan.from_bytes(raw(attempt=2)).digest != Plan.from_bytes(raw()).digest


def test_what_a_plan_rests_on_is_in_its_digest_and_the_usual_is_not_written_down():
    plain, said, other = (Plan.from_bytes(raw(**more)) for more in ({}, {"basis": "checks"}, {"basis": "model"}))

    assert plain.digest == said.digest
    assert "basis" not in plain.document(), "plans from before it was said keep their digests"
    assert other.digest != plain.digest
    assert Plan.from_bytes(other.canonical()).basis == "model"
    with pytest.raises(MalformedMessage, match="basis"):
        Plan.from_bytes(raw(basis="trust me"))


def test_a_copy_with_another_value_has_a_digest_of_its_own():
    plan = Plan.from_bytes(raw())
    assert plan.digest == digest(plan.document())

    copied = plan.model_copy(update={"attempt": 2})

    assert copied.digest == Plan.from_bytes(raw(attempt=2)).digest
    assert copied.plain_form["attempt"] == 2
    assert copied == Plan.from_bytes(raw(attempt=2))


@pytest.mark.parametrize(
    ("bytes_", "says"),
    [
        (b'{"a": 1, "a": 2}', "same key twice"),
        (b'{"a": 1, "\\u0061": 2}', "same key twice"),
        (b'{":": {"b": 1, "b": 1}, "c": ":"}', "same key twice"),
        (b'{"a": 01}', "not JSON"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": Infinity}', "Infinity"),
        (b'{"a": 1e400}', "out of range"),
        (b'{"a": -0}', "negative zero"),
        (b'{"a": -0.0}', "negative zero"),
        (b'{"a": 9007199254740993}', "2^53"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"\\ud800": 1}', "surrogate"),
        (b'{"a": "x\\u0000y"}', "NUL"),
        (b'{"a\\u0000": 1}', "NUL"),
        (b'{"a": "x\x00y"}', "not JSON"),
        (b'{"a": "\xed\xa0\x80"}', "UTF-8"),
        (b'{"a": "\\\\", "b": ' + b"[" * 65 + b"]" * 65 + b"}", "deeper"),
        (b"\xff\xfe", "UTF-8"),
        (b"", "not JSON"),
        (b"[" * 100_000, "deeper"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "deeper"),
        (b'"' + b"x" * 1_048_576 + b'"', "at most"),
    ],
)
def test_what_readers_could_understand_differently_is_refused(bytes_, says):
    with pytest.raises(MalformedMessage, match=says.replace("^", r"\^")):
        parse(bytes_)


def test_brackets_inside_strings_are_not_nesting():
    assert parse(json.dumps({"a": "[" * 200 + '\\"' + "{" * 200}).encode()) == {"a": "[" * 200 + '\\"' + "{" * 200}


@given(JSON_VALUES)
def test_what_is_read_is_what_any_reader_of_json_reads(value):
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1), json.dumps(value, separators=(",", ":"))):
        assert parse(text.encode()) == json.loads(text)


def _unique(pairs):
    if len(dict(pairs)) != len(pairs):
        raise ValueError("twice")
    return dict(pairs)


def _numbers_of(text):
    """As they are written, NaN among them."""
    found = []
    json.loads(text, parse_int=found.append, parse_float=found.append, parse_constant=found.append)
    return found


def _odd(number):
    """What I-JSON says no to, however it is written: 1e20 is as much beyond 2^53 as its digits are."""
    value = float(number)
    return not math.isfinite(value) or (value == 0 and number.startswith("-")) or (value.is_integer() and abs(value) > 2**53 - 1)


TOKENS = [*"{}[],:", *('"a"', '"b"', '"é"', '"\\u0061"', '""', '"1.5"', "true", "null", "NaN", " ", "\n", "\t")]
NUMBERS = ["0", "-0", "7", "-7", "6.0", "1.5", "1e2", "9007199254740991", "9007199254740992", "18446744073709551616", "01", "-"]


@given(st.lists(st.sampled_from(TOKENS + NUMBERS), max_size=12).map("".join) | st.text('{}[]:,"ab 1', max_size=12))
@example('{"a":1,"a":1}')
@example('{"a":1 ,"a":111}')
@example('[{"a":"b"},{"a":{"b":7,"b":7}}]')
def test_whatever_is_taken_is_what_a_strict_reader_reads_and_whatever_that_refuses_is_refused(text):
    try:
        expected = json.loads(text, object_pairs_hook=_unique)
    except ValueError:
        with pytest.raises(MalformedMessage):
            parse(text.encode())
        return
    try:
        found = parse(text.encode())
    except MalformedMessage:
        assert any(_odd(number) for number in _numbers_of(text))
    else:
        assert found == expected


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", ":", '"', "\\", "\n", "é", "{"]), st.integers(0, 3)), max_size=6), st.booleans()
)
def test_a_key_that_comes_twice_is_refused_however_it_is_written(pairs, escaped):
    members = [f"{json.dumps(key, ensure_ascii=escaped)} : {value}" for key, value in pairs]
    text = '[{"x": {' + ", ".join(members) + "}}]"
    if len(dict(pairs)) == len(pairs):
        assert parse(text.encode()) == [{"x": dict(pairs)}]
    else:
        with pytest.raises(MalformedMessage, match="same key twice"):
            parse(text.encode())


@given(JSON_VALUES)
def test_canonical_bytes_parse_back_to_the_same_digest(value):
    assert digest(parse(canonical(value))) == digest(value)


@pytest.mark.parametrize("field", ["incident", "attempt", "cluster", "cause", "hypothesis", "steps"])
def test_a_plan_without_one_of_its_parts_is_refused_by_name(field):
    incomplete = document()
    del incomplete[field]

    with pytest.raises(MalformedMessage, match=field):
        Plan.from_bytes(json.dumps(incomplete).encode())


NOT_NAMES = ["*", "", "../secrets", "a%2fb", "a..;b", "a\nb", "a\x00b", "UPPER", "x" * 254, "-leading", "trailing-", " spaced"]
FINE = {("namespace", ""), ("kind", "UPPER")}  # cluster-scoped kinds have no namespace; a kind may be upper case


@pytest.mark.parametrize(
    ("field", "name"),
    [(field, name) for field in ("name", "namespace", "kind", "apiVersion") for name in NOT_NAMES if (field, name) not in FINE],
)
def test_a_target_is_one_object_and_never_a_pattern_or_a_path(field, name):
    with pytest.raises(MalformedMessage):
        Plan.from_bytes(with_action(kind="delete_pod", target={**REF, field: name}))


@pytest.mark.parametrize(
    "action",
    [
        {"kind": "run_shell", "target": REF, "command": "kubectl delete ns prod"},
        {"kind": "Scale_workload", "target": REF, "replicas": 1},
        {"kind": "scale_workload", "target": REF, "replicas": "6"},
        {"kind": "scale_workload", "target": REF, "replicas": -1},
        {"kind": "scale_workload", "target": REF, "replicas": True},
        {"kind": "scale_workload", "target": REF, "replicas": 6, "force": True},
        {"kind": "scale_workload", "target": REF},
        {"kind": "change_fields", "target": REF, "changes": []},
        {"kind": "change_fields", "target": REF, "changes": [{"path": "", "before": 1, "after": 2}]},
        {"kind": "change_fields", "target": REF, "changes": [{"path": "spec", "before": 1, "after": 2}]},
        {"kind": "change_fields", "target": REF, "changes": [{"path": "/spec", "before": 1, "after": 1}]},
        {"kind": "change_fields", "target": REF, "changes": [{"path": "/a~2b", "before": 1, "after": 2}]},
        {"kind": "create_object", "target": {**REF, "uid": "new"}, "manifest": {"apiVersion": "v1", "kind": "Pod"}},
        {"kind": "rollback_workload", "target": REF, "to_revision": 0},
    ],
)
def test_an_action_outside_the_closed_union_is_refused(action):
    with pytest.raises(MalformedMessage):
        Plan.from_bytes(with_action(**action))


def test_steps_are_numbered_in_order():
    step = document()["steps"][0]

    with pytest.raises(MalformedMessage, match="step-1, step-2"):
        Plan.from_bytes(raw(steps=[{**step, "id": "step-2"}, {**step, "id": "step-1"}]))


def test_a_refusal_quotes_nothing_that_was_sent():
    with pytest.raises(MalformedMessage) as refusal:
        Plan.from_bytes(raw(attempt="sk-very-secret"))

    assert "sk-very-secret" not in str(refusal.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**54), 2**54) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_the_canonical_form_is_that_of_the_rfc_whichever_way_it_is_made(document):
    try:
        expected = rfc8785.dumps(document)
    except rfc8785.CanonicalizationError:
        with pytest.raises(MalformedMessage):
            canonical(document)
    else:
        assert canonical(document) == expected


# What is written the short way: no fractions, and characters that escapes and sorting could get wrong.
AWKWARD = st.sampled_from(
    ["\x00", "\x1f", '"', "\\", "/", "\x7f", "\x80", "\u2028", "\ud7ff", "\ue000", "\uffff", "\U00010000", "z"]
)
WHOLE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(AWKWARD),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(AWKWARD, max_size=3), inner, max_size=5),
    max_leaves=20,
)


@given(WHOLE)
def test_documents_without_fractions_are_written_as_the_rfc_has_them(document):
    assert canonical(document) == rfc8785.dumps(document)


def test_every_character_is_written_as_the_rfc_has_it_in_values_and_in_keys():
    characters = [*map(chr, range(0xD800)), *map(chr, range(0xE000, 0x11000))]
    assert canonical(characters) == rfc8785.dumps(characters)
    assert canonical(dict.fromkeys(characters, 1)) == rfc8785.dumps(dict.fromkeys(characters, 1))
    below = dict.fromkeys(characters[: 0x10000 - 0x800], 1)  # all of them in 16 bits
    assert canonical(below) == rfc8785.dumps(below)
    listed = ({"\uffff": 1, "\U0001f600": 2},)  # in a tuple, which is written as a list is
    assert canonical(listed) == canonical([*listed]) == rfc8785.dumps([*listed])


@pytest.mark.parametrize("number", [2**53 - 1, -(2**53) + 1, 6.0, 1e21, 1.5, 1e-7, True])
def test_numbers_are_written_as_the_rfc_has_them(number):
    assert canonical({"a": [number]}) == rfc8785.dumps({"a": [number]})


@given(st.text("f\x01\x03\x18u", max_size=4), st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_written_as_the_rfc_has_it_wherever_it_stands_and_whatever_stands_beside_it(text, number):
    for document in ([text, number], {text: number}, {"a": [number, {text: text}]}, [[[number]], text]):
        assert canonical(document) == rfc8785.dumps(document)


@pytest.mark.parametrize(
    "document",
    [
        *("\ud800", {"\ud800": 1}, {1: 2}, {None: 2}, [float("nan")], {"a": float("inf")}, 2**60, 2**53, -(2**53)),
        *([datetime(2026, 1, 1)], {"a": UUID(int=1)}, b"bytes", {"a": {1, 2}}),
    ],
)
def test_what_has_no_canonical_form_is_refused(document):
    with pytest.raises(MalformedMessage):
        canonical(document)


def test_control_characters_and_everything_beyond_ascii_are_written_as_the_rfc_has_them():
    document = {"a": "".join(map(chr, range(0x180))), "b": "\u2028\ufeff\U0001f600"}
    assert canonical(document) == rfc8785.dumps(document)


@pytest.mark.parametrize("kind", get_args(get_args(Action)[0]))
def test_every_object_that_an_action_names_is_among_its_targets_the_main_one_first(kind):
    names = [name for name, field in kind.model_fields.items() if "ObjectRef" in str(field.annotation)]
    several = [name for name in names if "tuple" in str(kind.model_fields[name].annotation)]
    refs = {name: ObjectRef.model_validate({**REF, "name": name}) for name in names}
    made = kind.model_construct(**{name: (ref,) if name in several else ref for name, ref in refs.items()})

    assert names[0] == "target"
    assert target_of(made) == tuple(refs.values())

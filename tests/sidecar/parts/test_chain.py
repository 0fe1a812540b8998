"""The journal's chain: whatever is edited, dropped, put elsewhere, cut or rebuilt, the first bad record is named."""

import copy
import json
import random
from datetime import UTC, datetime, timedelta

import pytest

from sidecar.audit import Head, check, seal, written
from sidecar.audit.chain import mac_of
from sidecar.contract import MalformedMessage, Record

KEY = b"a key of the sidecar"
START = datetime(2026, 1, 1, tzinfo=UTC)


def journal(length: int = 6, key: bytes = KEY) -> list[dict]:
    head, documents = Head(), []
    for number in range(length):
        record = seal(
            key,
            head,
            at=START + timedelta(seconds=number),
            kind="answer",
            actor="ada",
            plan="p" * 64,
            lease="",
            body={"verdict": "approve", "number": number},
        )
        head = record.head
        documents.append(record.document())
    return documents


def head_of(documents: list[dict]) -> Head:
    return Head(documents[-1]["seq"], documents[-1]["mac"])


def test_an_untouched_journal_has_no_fault():
    documents = journal()
    assert check(KEY, documents, anchors=[("the anchor", head_of(documents))]) is None
    assert check(KEY, []) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seq", 33),
        ("at", "2026-01-01T00:00:02.5Z"),
        ("kind", "answer-refused"),
        ("actor", "eve"),
        ("plan", "q" * 64),
        ("lease", "l"),
        ("body", {"verdict": "deny", "number": 2}),
        ("body", "no longer an object"),
        ("previous", "0" * 64),
        ("mac", "0" * 64),
        ("mac", 5),
    ],
)
def test_an_edit_of_any_field_is_found_where_it_is(field, value):
    documents = journal()
    documents[2] = {**documents[2], field: value}
    fault = check(KEY, documents)
    assert fault is not None
    assert fault.seq == 3


def test_a_dropped_record_is_found():
    documents = journal()
    del documents[3]
    assert check(KEY, documents).seq == 4


def test_two_records_that_changed_places_are_found():
    documents = journal()
    documents[1], documents[2] = documents[2], documents[1]
    assert check(KEY, documents).seq == 2


def test_a_cut_tail_is_found_by_the_anchor():
    documents = journal()
    anchor = head_of(documents)
    assert check(KEY, documents[:4]) is None
    assert check(KEY, documents[:4], anchors=[("the anchor", anchor)]).seq == 5


def test_a_journal_rebuilt_without_the_key_is_found():
    assert check(KEY, journal(key=b"another key")).seq == 1


def test_a_journal_rebuilt_with_the_key_is_found_by_the_anchor():
    anchor = head_of(journal(4))
    rebuilt = journal(6)[:3]
    head = head_of(rebuilt)
    other = seal(KEY, head, at=START, kind="answer", actor="eve", body={})
    rebuilt.append(other.document())
    assert check(KEY, rebuilt) is None
    assert check(KEY, rebuilt, anchors=[("the anchor", anchor)]).seq == 4


def test_records_after_the_anchor_are_fine():
    documents = journal(6)
    assert check(KEY, documents, anchors=[("the anchor", head_of(copy.deepcopy(documents)[:3]))]) is None


@pytest.mark.parametrize("value", [float("nan"), 2**60, {1: 2}, b"bytes", object()])
def test_what_no_json_says_gets_into_no_record(value):
    with pytest.raises(MalformedMessage):
        seal(KEY, Head(), at=START, kind="answer", actor="ada", body={"value": value})


def test_a_record_reads_the_same_when_it_comes_back():
    body = {"text": "\u00fc \u2028 \x00", "numbers": [1, 1.5, 1e21, -7], "none": None, "deep": {"b": [], "a": {}}}
    record = seal(KEY, Head(), at=START, kind="answer", actor="ada", body=body)
    document = json.loads(json.dumps(record.document()))
    assert document["body"] == body
    assert check(KEY, [document]) is None


def values(random_: random.Random, depth: int = 4):
    """Any JSON, odd numbers, names and texts among it."""
    texts = ["", "a", 'b\\"c', "\u00fc", "\u2028\x00\x7f", "\ufb33", "\U0001f600", "1.5", "plan", "\n\t"]
    numbers = [0, -1, 2**53 - 1, 1.5, 1e21, 1e20, 6.0, 1e-7, -0.0, 333333333.3333333]
    match random_.randrange(7 if depth else 4):
        case 0:
            return random_.choice(texts)
        case 1:
            return random_.choice(numbers)
        case 2:
            return random_.choice([None, True, False])
        case 3:
            return random_.choice(texts) + random_.choice(texts)
        case 4:
            return [values(random_, depth - 1) for _ in range(random_.randrange(5))]
        case _:
            return {random_.choice(texts): values(random_, depth - 1) for _ in range(random_.randrange(6))}


@pytest.mark.parametrize("seed", range(300))
def test_what_was_written_beforehand_gives_the_record_that_would_be_written_at_once(seed):
    random_ = random.Random(seed)
    names = ["plan", "facts", "effects", "policy", "decision", "\ufb33", "\U0001f600"][: random_.choice([3, 5, 7])]
    body = {name: values(random_) for name in names}
    parts = {name: written(value) if random_.random() < 0.6 else value for name, value in body.items()}
    at = START + timedelta(microseconds=random_.choice([0, 5, 500_000]))
    fields = {"at": at, "kind": "plan-decided", "actor": 'ada \u00fc"', "plan": "p" * 64, "lease": ""}
    at_once = seal(KEY, Head(7, "m"), body=body, **fields)
    in_parts = seal(KEY, Head(7, "m"), body=parts, **fields)
    assert (in_parts.head, in_parts.document()) == (at_once.head, at_once.document())
    kept = json.loads(json.dumps(in_parts.document()))
    assert kept["mac"] == mac_of(KEY, kept) == in_parts.head.mac
    assert Record.model_validate_json(json.dumps(kept)).document() == kept


@pytest.mark.parametrize("value", [float("nan"), 2**60, {1: 2}, b"bytes", object(), "\ud800", {"\ud800": 1}])
def test_what_no_json_says_is_not_written_beforehand_either(value):
    with pytest.raises(MalformedMessage):
        written(value)
    with pytest.raises(MalformedMessage):
        seal(KEY, Head(), at=START, kind="answer", actor="ada", body={"value": value, "plan": written({})})


def test_a_name_that_no_json_says_gets_into_no_record():
    with pytest.raises(MalformedMessage):
        seal(KEY, Head(), at=START, kind="answer", actor="\ud800", body={})


def test_what_is_nested_too_deep_to_be_kept_is_refused_as_everything_else_is():
    deep: object = "x"
    for _ in range(300):
        deep = [deep]
    with pytest.raises(MalformedMessage):
        written(deep)

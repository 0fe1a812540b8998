"""A JSON answer is taken apart and put together as the same answer, however it comes in, with one object in memory."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.reading.splitting import LEFT_OUT, Unreadable, split

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
LISTS = st.fixed_dictionaries(
    {"kind": st.just("PodList"), "metadata": VALUES},
    optional={"items": st.lists(VALUES, max_size=6), "rows": st.lists(VALUES, max_size=3), "zone": VALUES},
)


def same(value):
    return value


def pieces(content: bytes, sizes: list[int]):
    at = 0
    for size in sizes:
        yield content[at : at + size]
        at += size
    yield content[at:]


@settings(max_examples=100, deadline=None)
@given(VALUES | LISTS, st.lists(st.integers(min_value=0, max_value=9), max_size=40), st.booleans(), st.booleans())
def test_nothing_is_lost_and_nothing_is_added(document, sizes, ascii_only, spaced):
    content = json.dumps(document, ensure_ascii=ascii_only, indent=1 if spaced else None).encode("utf-8", "surrogatepass")
    try:
        content.decode()
    except UnicodeDecodeError:
        return
    came = b"".join(split(pieces(content, sizes), member=same, rest=same, block=16))
    assert json.loads(came) == document


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"items":[',
        b'{"items":[1,',
        b'{"items":[{]}',
        b'{"a" 1}',
        b'{"a":1}x',
        b"nonsense",
        b"\xff\xfe",
        b"{1:2}",
        b"[" * 5000,
    ],
)
def test_what_is_no_json_is_said_to_be_none(content):
    with pytest.raises(Unreadable):
        list(split(iter([content]), member=same, rest=same))


def test_a_member_may_be_left_out():
    content = json.dumps({"kind": "L", "items": [1, 2, 3, 4], "metadata": {"continue": "x"}}).encode()
    came = b"".join(split(iter([content]), member=lambda n: n if n % 2 else LEFT_OUT, rest=same))
    assert json.loads(came) == {"kind": "L", "items": [1, 3], "metadata": {"continue": "x"}}


def test_a_long_list_is_handed_on_while_it_comes():
    handed = []

    def content():
        yield b'{"items":['
        for number in range(1000):
            handed.append(len(seen))
            yield (b"," if number else b"") + b'{"n":"' + b"x" * 1000 + b'"}'
        yield b"]}"

    seen: list[bytes] = []
    for piece in split(content(), member=same, rest=same, block=4096):
        seen += [piece]
    assert handed[-1] > 100  # most of it was handed on before the last came

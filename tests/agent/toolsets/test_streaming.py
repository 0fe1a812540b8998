"""A large JSON file, member by member: the same as read at once, whatever its layout, and one clear fault where it is none."""

import io
import json

import pytest

from agent.toolsets import streaming
from agent.toolsets.streaming import Members, NotJson, TooLarge

DOCUMENT = {
    "snapshot": 1,
    "cluster": {"name": "größe 🐙", "versions": [1, 2]},
    "objects": [{"kind": "Pod", "name": f'p-{n} "quoted" \\ [{{', "deep": [[{"a": None}], [], {}]} for n in range(50)],
    "empty": [],
    "numbers": [1, -2.5, 12345678901234, True, None, "x"],
    "last": "end",
}


def read(text: str | bytes, *, at_most: int = 10_000_000):
    members = Members(io.BytesIO(text if isinstance(text, bytes) else text.encode()), at_most=at_most)
    whole: dict[str, object] = {}
    lists: dict[str, list[object]] = {}
    for key, value in members:
        if key in members.lists:
            lists.setdefault(key, []).append(value)
        else:
            whole[key] = value
    return {**whole, **{key: lists.get(key, []) for key in members.lists}}


@pytest.mark.parametrize("indent", [None, 2, 0])
@pytest.mark.parametrize("chunk", [1, 7, 64, 1 << 20])
def test_every_layout_and_every_size_of_bite_gives_the_same(monkeypatch, indent, chunk):
    monkeypatch.setattr(streaming, "CHUNK", chunk)

    assert read(json.dumps(DOCUMENT, indent=indent)) == DOCUMENT
    assert read("\ufeff \n" + json.dumps(DOCUMENT, indent=indent, ensure_ascii=False) + "\n ") == DOCUMENT


def test_one_object_a_line():
    lines = ",\n".join(json.dumps(one) for one in DOCUMENT["objects"])

    assert read(f'{{"objects": [\n{lines}\n], "last": "end"}}') == {"objects": DOCUMENT["objects"], "last": "end"}


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{", '{"a"', '{"a": [1, 2', '{"a": [1 2]}', '{"a": 1} more', '{"a": 1,}', "{'a': 1}", '{"a": NaN}', '{1: 2}',
        '{"objects": [{"a": 1},]}', '{"a": "\\ud800', '{"a": ' + "[" * 100_000, b'{"a": "\xff"}',
    ],
)  # fmt: skip
def test_what_is_no_json_mapping_is_said_in_one_line(text):
    with pytest.raises(NotJson) as told:
        read(text)

    assert "\n" not in str(told.value)


def test_more_than_is_allowed_is_refused_before_it_is_all_read():
    with pytest.raises(TooLarge, match="larger than"):
        read(json.dumps({"objects": ["x" * 1000] * 5000}), at_most=1_500_000)

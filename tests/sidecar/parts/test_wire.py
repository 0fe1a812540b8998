"""What the sidecar sends is written as an API server writes it: its JSON Patch compares strings by their bytes."""

import json

import pytest

from sidecar.execution.wire import written


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("a && b", r'"a \u0026\u0026 b"'),
        ("<x>", r'"\u003cx\u003e"'),
        ("a\u2028b\u2029", r'"a\u2028b\u2029"'),
        ("Müller 😀", '"Müller 😀"'),
        ("\x7f\n\t\x01\b", '"\x7f' + r"\n\t\u0001\b" + '"'),
        ('"\\/', r'"\"\\/"'),
    ],
)
def test_strings_are_written_as_gos_encoder_writes_them(text, sent):
    assert written(text).decode() == sent


def test_what_is_written_means_what_was_meant():
    body = [{"op": "test", "path": "/data/<a>&", "value": {"é&": ["<", None, 1, 0.5, True]}}]

    assert json.loads(written(body)) == body

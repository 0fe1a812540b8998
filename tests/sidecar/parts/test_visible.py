"""What others wrote, as a person reads it: on the page, at the terminal, in Slack."""

import pytest

from sidecar.approvals.slack.text import fitted, visible
from sidecar.audit.page import plain
from sidecar.execution import escaped

UNLIKE = {
    "registry.ex\u0430mple/\u0441heckout:1": "registry.ex\\u0430mple/\\u0441heckout:1",  # Cyrillic a and s
    "p\u03bfstgres": "p\\u03bfstgres",  # a Greek o
    "\uff41dmin": "\\uff41dmin",
    "https:\u2215\u2215shop.example": "https:\\u2215\\u2215shop.example",
    "sh\u0269p": "sh\\u0269p",
    "adm\u0131n.example": "adm\\u0131n.example",
    "\u0430\u0301dmin": "\\u0430\u0301dmin",  # an accent does not part it
    "\u0440\u0430\u0443.example": "\\u0440\\u0430\\u0443.example",  # three Cyrillic letters, each like a Latin one
    "\u043b\u0430b": "\\u043b\\u0430b",
    "a\u3164b": "a\\u3164b",  # a filler: nothing is seen, and it is a letter
    "a\u00a0b": "a\\u00a0b",
    "a\ufe0fb": "a\\ufe0fb",
    "a\u0301\u0301\u0301": "a\u0301\u0301\\u0301",
    "x\u202ey": "x\\u202ey",
}
ALIKE = [
    "größe café naïve",
    "Привет, мир",
    "Ελλάδα",
    "配置file",
    "日本語テキスト",
    "x…",
    "“said”",
    "5 × 3",
    "µs",
    "сервис-api",
    "Kubernetes-кластер",
    "API-πύλη",
    "kırmızı balık.",
    "m³ CO₂ 1ª",
]


@pytest.mark.parametrize("text", UNLIKE, ids=map(ascii, UNLIKE))
def test_what_passes_for_something_else_is_written_out_wherever_it_is_read(text):
    assert [escaped(text), visible(text), plain(text), fitted(text, 300)[0]] == [UNLIKE[text]] * 4
    assert escaped(escaped(text)) == escaped(text)


@pytest.mark.parametrize("text", ALIKE)
def test_what_is_nothing_but_another_language_stays_as_it_is(text):
    assert [escaped(text), visible(text), plain(text)] == [text] * 3


def test_a_line_break_is_one_where_lines_are_shown_and_an_escape_where_they_are_not():
    assert escaped("a\n\tb") == "a\n\tb"
    assert visible("a\n\tb", lines=True) == "a\n  b"
    assert visible("é\nb") == "é\\u000ab"
    assert plain("a\n\tb") == "a\\u000a\\u0009b"

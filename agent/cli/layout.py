"""A page at the terminal: labels at the left, words under one another at the right. A pipe gets every item on one line.

Text of the cluster is made visible, never obeyed; colours go away with NO_COLOR and in pipes.
"""

import textwrap
from datetime import datetime

from rich.console import Console
from rich.text import Text

from agent.rendering.safety import one_line

LABEL = 10  # columns of the label
WIDEST = 110


class Page:
    def __init__(self, out: Console) -> None:
        self._out = out
        self._width = max(30, min(out.width, WIDEST) - LABEL - 1) if out.is_terminal else 0

    def line(self, text: Text | None = None) -> None:
        """Across the whole width."""
        if text is None:
            self._out.print()
            return
        whole = self._width + LABEL + 1 if self._width else 0
        for words in _wrapped(text.plain, whole):
            self._out.print(Text(words, style=text.style))

    def item(self, label: str, title: Text, *, style: str) -> None:
        line = Text()
        line.append(f"{label:<{LABEL}} ", style=style)
        line.append_text(title)
        self._out.print(line)

    def paragraph(self, words: str) -> None:
        self._indented(words, "")

    def field(self, name: str, words: str, *, style: str = "") -> None:
        """A short dim name, and what it says; words that go on stand under the first ones."""
        self._indented(words, f"{name}  ", style=style)

    def _indented(self, words: str, lead: str, *, style: str = "") -> None:
        for number, part in enumerate(_wrapped(one_line(words), max(20, self._width - len(lead)) if self._width else 0)):
            line = Text(" " * (LABEL + 1))
            line.append(lead if number == 0 else " " * len(lead), style="dim")
            line.append(part, style=style)
            self._out.print(line)


def _wrapped(words: str, width: int) -> list[str]:
    return textwrap.wrap(words, width=width, break_on_hyphens=False, break_long_words=False) if width and words else [words]


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def span(since: datetime, now: datetime) -> str:
    """since 11:42 (18 min); with the day where that is another one."""
    minutes = max(0, int((now - since).total_seconds() // 60))
    day = "" if since.date() == now.date() else f"{since:%Y-%m-%d} "
    told = f"{minutes} min" if minutes < 120 else f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} days"
    return f"since {day}{since:%H:%M} ({told})"

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
        self._last = ""  # the name in front of the line above
        self._width = max(30, min(out.width, WIDEST) - LABEL - 1) if out.is_terminal else 0

    def line(self, text: Text | None = None) -> None:
        """Across the whole width."""
        self._last = ""
        if text is None:
            self._out.print()
            return
        whole = self._width + LABEL + 1 if self._width else 0
        for words in _wrapped(text.plain, whole):
            self._out.print(Text(words, style=text.style))

    def item(self, label: str, title: Text, *, style: str) -> None:
        self._last = ""
        line = Text()
        line.append(f"{label:<{LABEL}} ", style=style)
        line.append_text(title)
        self._out.print(line)

    def paragraph(self, words: str, *, label: str = "", label_style: str = "", style: str = "") -> None:
        for number, part in enumerate(_wrapped(one_line(words), self._width)):
            line = Text()
            line.append(f"{label if number == 0 else '':<{LABEL}} ", style=label_style)
            line.append(part, style=style)
            self._out.print(line)

    def field(self, name: str, words: str, *, style: str = "") -> None:
        """A short dim name, right beside what it says; words that go on stand under the first ones, and so do more of a name."""
        again = self._out.is_terminal and name == self._last
        for number, part in enumerate(_wrapped(one_line(words), self._width)):
            line = Text()
            line.append(f"{name if number == 0 and not again else '':>{LABEL}} ", style="dim")
            line.append(part, style=style)
            self._out.print(line)
        self._last = name


def _wrapped(words: str, width: int) -> list[str]:
    return textwrap.wrap(words, width=width, break_on_hyphens=False) if width and words else [words]


def shortened(words: str, most: int = 160) -> str:
    return words if len(words) <= most else f"{words[: most - 1].rstrip()}…"


def span(since: datetime, now: datetime) -> str:
    """since 11:42 (18 min); with the day where that is another one."""
    minutes = max(0, int((now - since).total_seconds() // 60))
    day = "" if since.date() == now.date() else f"{since:%Y-%m-%d} "
    told = f"{minutes} min" if minutes < 120 else f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} days"
    return f"since {day}{since:%H:%M} ({told})"

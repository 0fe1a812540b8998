"""Answers of a conversation, which are Markdown, as HTML. The only door to markdown_it.

Only what answers are made of is understood: paragraphs, lists, tables, fenced text, emphasis, code. There are no links, pictures,
headings or HTML of the text's own: whatever somebody managed to write into an object of the cluster stays text.
"""

from collections.abc import Sequence
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from agent.rendering.safety import visible

_UNDERSTOOD = ["fence", "list", "table", "emphasis", "escape", "backticks", "newline"]
_STYLES = {"+": "added", "-": "removed"}


def as_html(text: str) -> str:
    """Markup that can stand in a page as it is."""
    made: str = _MARKDOWN.render(visible(text))
    return made


def _fence(_: RendererHTML, tokens: Sequence[Token], at: int, *__: Any) -> str:
    """Can be scrolled by keys; a difference has its colours."""
    token = tokens[at]
    if token.info.strip() != "diff":
        return f'<pre tabindex="0" aria-label="Quoted">{escape(token.content)}</pre>\n'
    lines = [f'<span class="{_style(line)}">{escape(line)}\n</span>' for line in token.content.splitlines()]
    return f'<pre class="diff" tabindex="0" aria-label="Difference">{"".join(lines)}</pre>\n'


def _style(line: str) -> str:
    return "place" if line.startswith(("+++", "---", "@@")) else _STYLES.get(line[:1], "same")


def _table_open(*_: Any) -> str:
    return '<div class="wide" tabindex="0" role="region" aria-label="Table"><table>\n'


def _table_close(*_: Any) -> str:
    return "</table></div>\n"


def _th_open(*_: Any) -> str:
    return '<th scope="col">'


def _td_open(*_: Any) -> str:
    return "<td>"


def _made() -> MarkdownIt:
    found = MarkdownIt("zero", {"breaks": True, "html": False}).enable(_UNDERSTOOD)
    rules = {"fence": _fence, "table_open": _table_open, "table_close": _table_close, "th_open": _th_open, "td_open": _td_open}
    for name, rule in rules.items():
        found.add_render_rule(name, rule)
    return found


_MARKDOWN = _made()

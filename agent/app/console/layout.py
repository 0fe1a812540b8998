"""How a page is put together: templates, what every page forbids, and the words for times and people. Knows no page.

Everything that is printed is escaped by the templates, and made visible by `rendering.safety`, but for markup of our own.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import jinja2
from fastapi import Request, Response
from markupsafe import Markup

from agent.app.identity import Identity, Session
from agent.rendering import wording
from agent.rendering.safety import one_line, visible
from identity import PAGE_HEADERS

HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = PAGE_HEADERS | {"Content-Security-Policy": POLICY}


def wants_page(request: Request) -> bool:
    """Whether a browser asks to be shown something."""
    return "text/html" in request.headers.get("accept", "")


def page(request: Request, template: str, *, session: Session | None = None, status: int = 200, **content: Any) -> Response:
    """`session` None: nobody is known, and nothing of a session is shown."""
    settings = request.app.state.shop.settings
    text = _templates.get_template(template).render(
        session=session,
        here=request.url.path,
        now=datetime.now(UTC),
        cluster=request.app.state.shop.reader.name,
        approvals_url=settings.approvals_url.rstrip("/"),
        **content,
    )
    return Response(text, status, HEADERS, "text/html; charset=utf-8")


def message(request: Request, status: int, title: str, text: str, *, session: Session | None = None) -> Response:
    """A page that says no, or cannot."""
    return page(request, "message.html", session=session, status=status, title=title, text=text)


def session_of(request: Request) -> Session | None:
    """Whoever it is, if they are known already: a page that says no still has its navigation."""
    found: Session | None = getattr(request.state, "session", None)
    if found is None:
        identity: Identity = request.app.state.identity
        found = None if identity.is_open else identity.by_cookie(request)
    return found


def asset(name: str, media_type: str) -> Response:
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "max-age=300"}
    return Response((HERE / name).read_bytes(), headers=headers, media_type=media_type)


def _printed(value: object) -> object:
    return value if isinstance(value, Markup) else visible(str(value))


def ago(at: datetime, now: datetime) -> str:
    seconds = max(0, int((now - at).total_seconds()))
    for size, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {name} ago"
    return f"{seconds} s ago"


def left(until: datetime, now: datetime) -> str:
    seconds = int((until - now).total_seconds())
    if seconds <= 0:
        return "no time left"
    return f"{seconds // 60} min left" if seconds >= 60 else f"{seconds} s left"


def _diff(text: str) -> list[tuple[str, str]]:
    """(style, line) of a unified diff."""
    styles = {"+": "added", "-": "removed"}
    return [
        ("place" if line.startswith(("+++", "---", "@@")) else styles.get(line[:1], "same"), line)
        for line in visible(text).splitlines()
    ]


def beside(text: str, words: str) -> str:
    """What is said beside a tag does not begin with the tag's words."""
    return text.removeprefix(f"{words}: ")


def _tone(state: str, outcome: str) -> tuple[str, str]:
    """Words and tone of a run's state."""
    if state != "finished":
        return {"queued": ("Waiting for its turn", "calm"), "running": ("Working", "calm")}[state]
    words: dict[str, tuple[str, str]] = {str(name): said for name, said in wording.OUTCOMES.items()}
    return words.get(outcome, (outcome.replace("-", " ").capitalize(), "warn"))


_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(HERE / "templates"),
    autoescape=True,
    finalize=cast(Callable[..., Any], _printed),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= {
    "moment": wording.moment,
    "clock": wording.clock,
    "ended": wording.end_of,
    "right": wording.right,
    "revocation": wording.revocation,
    "field": wording.value,
    "named": wording.named,
    "line": one_line,
    "diff": _diff,
    "beside": beside,
}
_templates.globals |= {"lasted": wording.lasted, "ago": ago, "left": left, "tone": _tone}

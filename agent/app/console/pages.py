"""The pages: the runs, one run, what is connected, and a place to ask. Knows the workshop and no stage."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import FastAPI, Header, Query, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from agent.app.closing import Closing
from agent.app.console import listing
from agent.app.console.alerts import add_alerts
from agent.app.console.chat import add_chat_pages
from agent.app.console.connections import connections
from agent.app.console.doorway import add_doorway
from agent.app.console.forms import meant
from agent.app.console.layout import asset, page
from agent.app.console.scan import add_scan
from agent.app.console.shown import shown
from agent.app.identity import Session, Visit, known
from agent.app.runs import Row
from agent.bootstrap import Workshop
from agent.rendering import chart
from agent.rendering.picture import picture, said

LONGEST_QUESTION = 2000


def add_console(app: FastAPI) -> None:
    add_doorway(app)
    _add_assets(app)
    _add_runs(app)
    _add_asking(app)
    add_chat_pages(app)
    add_alerts(app)
    add_scan(app)


def _shop(request: Request) -> Workshop:
    shop: Workshop = request.app.state.shop
    return shop


def _add_assets(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def home() -> Response:
        return RedirectResponse("/runs", 303)

    @app.get("/favicon.ico", include_in_schema=False)
    async def favicon() -> Response:
        return Response(status_code=204)

    @app.get("/console.css", include_in_schema=False)
    async def style() -> Response:
        return asset("console.css", "text/css; charset=utf-8")

    @app.get("/console.js", include_in_schema=False)
    async def script() -> Response:
        return asset("console.js", "text/javascript; charset=utf-8")


def _add_runs(app: FastAPI) -> None:
    @app.get("/runs", include_in_schema=False)
    async def runs(request: Request, session: Visit) -> Response:
        return await _list(request, session)

    @app.get("/runs/{run}", include_in_schema=False, dependencies=[known])
    async def run_(request: Request, row: Row, session: Visit) -> Response:
        found = await shown(row, _shop(request))
        drawn = picture(found.diagnosis) if found.diagnosis else ""
        in_words = said(found.diagnosis) if found.diagnosis and drawn else ""
        return page(
            request,
            "run.html",
            session=session,
            run=found,
            row=row,
            picture=drawn,
            picture_said=in_words,
            charts=chart.shown(found.charts),
            about=listing.about(row),
            severity=listing.severity(row),
        )

    @app.get("/runs/{run}/live", response_class=EventSourceResponse, include_in_schema=False, dependencies=[known])
    async def live(
        request: Request,
        row: Row,
        session: Visit,
        after: Annotated[int, Query(ge=0, le=10**9)] = 0,
        last_event_id: Annotated[str, Header()] = "",
    ) -> AsyncIterator[ServerSentEvent]:
        """What is told from `after` on, or where a broken stream left off; then that it has ended."""
        resumed = int(last_event_id) if last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 10 else after
        closing: Closing = request.app.state.closing
        async for event in closing.through(_shop(request).events.follow(row.id, after=resumed)):
            told = {"at": event.at.isoformat(), "stage": event.stage, "text": event.text}
            yield ServerSentEvent(id=str(event.seq), event="told", data=told)
        if not closing.is_told:
            yield ServerSentEvent(event="ended", data={})

    @app.get("/connections", include_in_schema=False)
    async def connected(request: Request, session: Visit) -> Response:
        return page(request, "connections.html", session=session, connections=await connections(_shop(request)))


def _add_asking(app: FastAPI) -> None:
    @app.post("/ask", include_in_schema=False)
    async def ask(request: Request, session: Visit) -> Response:
        form = await meant(request, session)
        question = " ".join(form.get("question", "").split())
        if not question:
            return await _list(request, session, status=400, trouble="Write a question first.")
        if len(question) > LONGEST_QUESTION:
            told = f"The question is longer than {LONGEST_QUESTION} characters. Say it shorter."
            return await _list(request, session, status=400, trouble=told, question=question[:LONGEST_QUESTION])
        look_only = form.get("repair") != "yes"
        row, _ = await _shop(request).take(question=question, asked_by=session.person.name, look_only=look_only)
        request.app.state.workers.wake()
        return RedirectResponse(f"/runs/{row.id}", 303)


async def _list(request: Request, session: Session, *, status: int = 200, trouble: str = "", question: str = "") -> Response:
    query = request.query_params if request.method == "GET" else {}
    found = await listing.listed(query, _shop(request).listing)
    return page(
        request,
        "list.html",
        session=session,
        status=status,
        listed=found,
        outcomes=listing.OUTCOMES,
        severities=listing.SEVERITIES,
        severity_of=listing.severity,
        namespaces_of=listing.namespaces,
        about=listing.about,
        governed=_shop(request).governed,
        trouble=trouble,
        question=question,
    )

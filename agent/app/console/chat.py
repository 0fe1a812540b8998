"""Conversations as pages: your sessions, one of them with its turns, and a place to say the next thing.

Everything is a form and a page; a script only brings the steps of the answer that is being worked on (`GET /v1/chat/SESSION`).
Nothing is approved here: where an answer waits for people, it leads to the plan.
"""

from dataclasses import dataclass

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from markupsafe import Markup

from agent.app.console.forms import meant
from agent.app.console.layout import page
from agent.app.identity import Session as Visited
from agent.app.identity import Visit
from agent.bootstrap import Workshop
from agent.chat.conversation import LONGEST, Conversations
from agent.domain.session import Reply, Session
from agent.errors import Busy, InputError, NotThere
from agent.ports import RunRow
from agent.rendering.prose import as_html

MOST_SESSIONS, MOST_STEPS = 50, 200
UNMARKED = ("shown", "told")  # outcomes of turns that looked into nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """`plan`: digest of the plan that waits, "" where none does any more."""

    row: RunRow
    plan: str = ""


def add_chat_pages(app: FastAPI) -> None:
    @app.get("/chat", include_in_schema=False)
    async def sessions(request: Request, session: Visit) -> Response:
        return await _begin(request, session, run=request.query_params.get("run", "")[:80])

    @app.post("/chat", include_in_schema=False)
    async def begin(request: Request, session: Visit) -> Response:
        form = await meant(request, session)
        said, run = form.get("message", ""), form.get("run", "")[:80]
        try:
            return await _said(request, session, said, run=run)
        except NotThere:
            raise
        except (InputError, Busy) as exc:
            return await _begin(request, session, run=run, trouble=str(exc), said=said, status=_status(exc))

    @app.get("/chat/{name}", include_in_schema=False)
    async def one(request: Request, session: Visit, name: str) -> Response:
        return await _shown(request, session, name)

    @app.post("/chat/{name}", include_in_schema=False)
    async def go_on(request: Request, session: Visit, name: str) -> Response:
        said = (await meant(request, session)).get("message", "")
        try:
            return await _said(request, session, said, name=name)
        except NotThere:
            raise
        except (InputError, Busy) as exc:
            return await _shown(request, session, name, trouble=str(exc), said=said, status=_status(exc))

    @app.post("/chat/{name}/stop", include_in_schema=False)
    async def stop(request: Request, session: Visit, name: str) -> Response:
        await meant(request, session)
        who = session.person
        try:
            await _conversations(request).stop(name, asked_by=who.name, by=who.called or who.name)
        except Busy as exc:
            return await _shown(request, session, name, trouble=str(exc), status=409)
        return RedirectResponse(f"/chat/{name}", 303)

    @app.post("/chat/{name}/forget", include_in_schema=False)
    async def forget(request: Request, session: Visit, name: str) -> Response:
        await meant(request, session)
        try:
            await _conversations(request).forget(name, asked_by=session.person.name)
        except Busy as exc:
            return await _shown(request, session, name, trouble=str(exc), status=409)
        return RedirectResponse("/chat", 303)


def _conversations(request: Request) -> Conversations:
    found: Conversations = request.app.state.conversations
    return found


def _status(exc: InputError | Busy) -> int:
    return 409 if isinstance(exc, Busy) else 400


async def _said(request: Request, session: Visited, said: str, *, name: str = "", run: str = "") -> Response:
    exchange = await _conversations(request).begin(said, session=name, run=run, asked_by=session.person.name)
    return RedirectResponse(f"/chat/{exchange.session}#turn-{exchange.turn.number}", 303)


async def _begin(
    request: Request, session: Visited, *, run: str, trouble: str = "", said: str = "", status: int = 200
) -> Response:
    shop: Workshop = request.app.state.shop
    about = await shop.store.row(run) if run else None
    return page(
        request,
        "chats.html",
        session=session,
        status=status,
        sessions=await _conversations(request).sessions(asked_by=session.person.name, limit=MOST_SESSIONS),
        about=about,
        trouble=trouble,
        said=said[:LONGEST],
        longest=LONGEST,
    )


async def _shown(
    request: Request, session: Visited, name: str, *, trouble: str = "", said: str = "", status: int = 200
) -> Response:
    """Raises NotThere."""
    shop: Workshop = request.app.state.shop
    talk = await _conversations(request).session(name, asked_by=session.person.name)
    last = talk.turns[-1] if talk.turns else None
    going = last if last is not None and last.state == "open" else None
    steps = await shop.events.told(going.run) if going is not None and going.run else ()
    return page(
        request,
        "chat.html",
        session=session,
        status=status,
        talk=talk,
        going=going,
        steps=list(steps)[-MOST_STEPS:],
        repair=await _repair(talk, shop),
        prose=_prose,
        unmarked=UNMARKED,
        governed=shop.governed,
        trouble=trouble,
        said=said[:LONGEST],
        longest=LONGEST,
    )


def _prose(reply: Reply) -> Markup:
    return Markup(as_html(reply.text))  # noqa: S704  escaped by as_html, which knows no HTML


async def _repair(talk: Session, shop: Workshop) -> Repair | None:
    """What the last answer waited for, as it stands now."""
    reply = talk.turns[-1].reply if talk.turns else None
    row = await shop.store.row(reply.run) if reply is not None and reply.outcome == "waiting" and reply.run else None
    if row is None or row.state == "finished":
        return Repair(row=row) if row is not None else None
    rounds = (await shop.progress(row.id)).rounds
    return Repair(row=row, plan=rounds[-1].plan.digest if rounds else "")

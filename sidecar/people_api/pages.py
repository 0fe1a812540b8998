"""The approvals page: rendered here, no script, nothing from elsewhere; every form is a POST of this session.

A browser is told by its Accept header; whoever wants JSON never meets a cookie, and whoever has a cookie never the JSON side.
Every text is escaped for HTML by the templates, and for control and bidirectional characters by `finalize`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

from fastapi import HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse
from starlette.convertors import Convertor, register_url_convertor
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from identity import Form, IdentityUnavailable, form_from, is_form, is_meant
from sidecar.contract import Problem
from sidecar.edge import known_as, whole_body
from sidecar.errors import SidecarError
from sidecar.gate.answer import answer
from sidecar.gate.desk import Desk
from sidecar.gate.glass import close_review
from sidecar.gate.stop import lift, stop
from sidecar.people_api import shown
from sidecar.people_api.doorway import Doorway, ours
from sidecar.people_api.layout import asset, rendered
from sidecar.people_api.seal import Session
from sidecar.people_api.shown import NO_POLICY, Policy
from sidecar.people_api.verifying import Verifying


class _Digest(Convertor[str]):
    regex = "[0-9a-f]{64}"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("digest", _Digest())


class _ForBrowsers(Route):
    """Stands only for those who want HTML; everybody else goes on to the JSON side of the same address."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        accepted = b",".join(value for name, value in scope.get("headers", ()) if name == b"accept")
        return super().matches(scope) if b"text/html" in accepted else (Match.NONE, {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """`console_url`: where the agent's pages are, "" where that is not known."""

    desk: Desk
    doorway: Doorway
    policy: Policy = NO_POLICY
    name: str = "Lestrade"
    console_url: str = ""
    verifying: Verifying = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "verifying", Verifying(self.desk.ledger.verify))

    def routes(self) -> list[BaseRoute]:
        """To stand before the JSON side's."""
        get, post = self._get, self._post
        return [
            Route("/", lambda request: RedirectResponse("/approvals", 303)),
            Route("/favicon.ico", lambda request: Response(status_code=204)),
            Route("/style.css", lambda request: asset("style.css", "text/css; charset=utf-8")),
            _ForBrowsers("/approvals", get(self._list)),
            _ForBrowsers("/approvals/{digest:digest}", get(self._one)),
            _ForBrowsers("/approvals/{plan}", get(self._unknown)),
            Route("/approvals/{digest:digest}/answer", post(self._answer), methods=["POST"]),
            Route("/leases", get(self._leases)),
            Route("/journal", get(self._journal)),
            Route("/policy", get(self._policy)),
            Route("/reviews", get(self._reviews)),
            Route("/reviews/{digest:digest}", post(self._review), methods=["POST"]),
            Route("/stop", get(self._stop)),
            Route("/stop", post(self._stopped), methods=["POST"]),
            Route("/login", self._log_in_form),
            Route("/login", self._log_in, methods=["POST"]),
            Route("/login/provider", self._to_provider),
            Route("/login/callback", self._from_provider),
            Route("/logout", post(self._log_out), methods=["POST"]),
        ]

    # what is seen

    def _list(self, request: Request, session: Session) -> Response:
        state: Literal["waiting", "all"] = "all" if request.query_params.get("state") == "all" else "waiting"
        cards = shown.cards(self.desk, state)
        return self._page("approvals.html", request, session, cards=cards, state=state, stop=shown.stop(self.desk))

    def _one(self, request: Request, session: Session) -> Response:
        found = shown.card(self.desk, str(request.path_params["digest"]))
        if found is None:
            return self._unknown(request, session)
        incident = quote(found["view"].incident, safe="")  # the agent's own name for it
        told = f"{self.console_url}/runs?q={incident}" if self.console_url else ""
        return self._page("approval.html", request, session, told=told, **found)

    def _unknown(self, request: Request, session: Session) -> Response:
        return self._no(request, session, 404, "unknown-plan", "No plan with this digest waits for people.")

    def _leases(self, request: Request, session: Session) -> Response:
        return self._page("leases.html", request, session, **shown.leases_of(self.desk))

    def _journal(self, request: Request, session: Session) -> Response:
        before, about = request.query_params.get("before", ""), " ".join(request.query_params.get("about", "").split())[:128]
        number = int(before) if before.isascii() and before.isdigit() and len(before) < 12 else 0
        asked = request.query_params.get("verify") == "yes"
        verified = self.verifying.result() if asked else None
        found = shown.journal(self.desk, number, about)
        return self._page("journal.html", request, session, about=about, asked=asked, verified=verified, **found)

    def _policy(self, request: Request, session: Session) -> Response:
        found = shown.policy(self.policy)
        return self._page("policy.html", request, session, **found)

    def _reviews(self, request: Request, session: Session) -> Response:
        return self._page("reviews.html", request, session, reviews=shown.reviews_of(self.desk))

    def _stop(self, request: Request, session: Session) -> Response:
        return self._page("stop.html", request, session, stop=shown.stop(self.desk))

    # what is said

    def _answer(self, request: Request, session: Session, form: Form) -> Response:
        digest, verdict = str(request.path_params["digest"]), form.get("verdict", "")
        if verdict not in ("approve", "deny", "break-glass") or form.get("plan") != digest:
            return self._no(request, session, 400, "malformed", "Say yes or no to the plan that is shown.")
        came = answer(
            digest,
            person=session.person,
            verdict="deny" if verdict == "deny" else "approve",
            plan=digest,
            revision=form.get("revision", "")[:80],
            via="page",
            reason=" ".join(form.get("reason", "").split())[:500],
            glass=verdict == "break-glass",
            desk=self.desk,
        )
        return self._done(came, request, session, f"/approvals/{digest}")

    def _review(self, request: Request, session: Session, form: Form) -> Response:
        note = " ".join(form.get("note", "").split())[:500]
        came = close_review(str(request.path_params["digest"]), person=session.person, note=note, desk=self.desk)
        return self._done(came, request, session, "/reviews")

    def _stopped(self, request: Request, session: Session, form: Form) -> Response:
        reason = " ".join(form.get("reason", "").split())[:500]
        lifts = form.get("lift") == "yes"
        came = lift(session.person, desk=self.desk) if lifts else stop(session.person, reason=reason, desk=self.desk)
        return self._done(came, request, session, "/stop")

    def _log_out(self, request: Request, session: Session, form: Form) -> Response:
        return self.doorway.let_out(request)

    # coming in

    async def _log_in_form(self, request: Request) -> Response:
        return self._door(request, 200, "")

    async def _log_in(self, request: Request) -> Response:
        if not self.doorway.is_ours(request):
            return self._door(request, 403, "The form did not come from this page. Try again from here.", "foreign-form")
        address = request.client.host if request.client is not None else ""
        if self.doorway.guesses.too_many(address):
            return self._door(request, 429, "Too many tries. Wait a minute.", "too-many-tries")
        form = await _form(request)
        return await run_in_threadpool(self._check_token, request, form, address)

    def _check_token(self, request: Request, form: Form, address: str) -> Response:
        token = form.get("token", "").strip()
        person = self.doorway.directory.file.by_token(token) if token else None
        if person is None:
            self.doorway.guesses.failed(address)
            return self._door(request, 401, "This token is nobody's.", "not-authenticated")
        return self.doorway.let_in(person, request, self.desk.ledger.now(), form.get("goes_to", ""))

    async def _to_provider(self, request: Request) -> Response:
        return await run_in_threadpool(self._by_provider, request, self._begin)

    async def _from_provider(self, request: Request) -> Response:
        return await run_in_threadpool(self._by_provider, request, self._end)

    def _begin(self, request: Request) -> Response | None:
        return self.doorway.to_provider(request, self.desk.ledger.now(), request.query_params.get("goes_to", ""))

    def _end(self, request: Request) -> Response | None:
        return self.doorway.from_provider(request, self.desk.ledger.now())

    def _by_provider(self, request: Request, way: Callable[[Request], Response | None]) -> Response:
        try:
            response = way(request)
        except IdentityUnavailable:
            return self._door(request, 503, "The identity provider does not answer. Try again.", "identity-unavailable")
        return response or self._door(request, 401, "The log-in did not succeed. Try again.", "not-authenticated")

    # how it is put together

    def _get(self, show: Callable[[Request, Session], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            session = await run_in_threadpool(self.doorway.session, request, self.desk.ledger.now())
            if session is None:
                return RedirectResponse(f"/login?goes_to={ours(str(request.scope['path']))}", 303)
            known_as(request, session.person.name)
            return await run_in_threadpool(self._guarded, lambda: show(request, session), request, session)

        return handle

    def _post(self, do: Callable[[Request, Session, Form], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            session = await run_in_threadpool(self.doorway.session, request, self.desk.ledger.now())
            if session is None:
                return self._door(request, 401, "Log in first; nothing was done.", "not-authenticated")
            known_as(request, session.person.name)
            form = await _form(request)
            if not self.doorway.is_ours(request) or not is_meant(session.csrf, form):
                return self._no(request, session, 403, "foreign-form", "The form did not come from this page. Nothing was done.")
            return await run_in_threadpool(self._guarded, lambda: do(request, session, form), request, session)

        return handle

    def _guarded(self, work: Callable[[], Response], request: Request, session: Session) -> Response:
        try:
            return work()
        except SidecarError as exc:
            return self._no(request, session, 503, "cannot-now", str(exc))

    def _done(self, came: object, request: Request, session: Session, goes_to: str) -> Response:
        if isinstance(came, Problem):
            return self._no(request, session, came.status, came.code, came.detail, back=goes_to)
        return RedirectResponse(goes_to, 303)

    def _no(self, request: Request, session: Session, status: int, code: str, text: str, back: str = "/approvals") -> Response:
        return self._page("message.html", request, session, status=status, code=code, text=text, back=back)

    def _door(self, request: Request, status: int, text: str, code: str = "") -> Response:
        goes_to = ours(request.query_params.get("goes_to", ""))
        provider = self.doorway.client is not None and self.doorway.directory.outside is not None
        return rendered("login.html", status, code, text=text, goes_to=goes_to, provider=provider, name=self.name, session=None)

    def _page(self, template: str, request: Request, session: Session, *, status: int = 200, **content: Any) -> Response:
        now = self.desk.ledger.now()
        return rendered(
            template,
            status,
            str(content.pop("code", "")),
            session=session,
            here=request.scope["path"],
            now=now,
            name=self.name,
            cluster=self.desk.cluster.name,
            **content,
        )


async def _form(request: Request) -> Form:
    """application/x-www-form-urlencoded; raises a 413 or 415."""
    if not is_form(request.headers):
        raise HTTPException(415, "a form is wanted")
    form = form_from(await whole_body(request))
    if form is None:
        raise HTTPException(400, "not a form")
    return form

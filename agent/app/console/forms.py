"""What a form of ours sends, and whether it is one of ours. Knows no page."""

from fastapi import Request
from starlette.exceptions import HTTPException

from agent.app.body import bounded
from agent.app.identity import Identity, Session
from identity import Form, form_from, is_form, is_meant

MOST_BYTES = 32_768


async def form_of(request: Request) -> Form:
    """application/x-www-form-urlencoded. Raises a 400, 413 or 415."""
    if not is_form(request.headers):
        raise HTTPException(415, "a form is wanted")
    form = form_from(await bounded(request, MOST_BYTES))
    if form is None:
        raise HTTPException(400, "this is not a form")
    return form


async def meant(request: Request, session: Session) -> Form:
    """The form, if it was sent from a page that this session was shown. Raises a 403 otherwise: nothing was done."""
    form = await form_of(request)
    identity: Identity = request.app.state.identity
    if not identity.is_ours(request) or not is_meant(session.csrf, form):
        raise HTTPException(403, "the form did not come from this page: nothing was done")
    return form

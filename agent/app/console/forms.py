"""What a form of ours sends, and whether it is one of ours. Knows no page."""

import hmac
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.exceptions import HTTPException

from agent.app.body import bounded
from agent.app.identity import Identity, Session

MOST_BYTES = 32_768
Form = dict[str, str]


async def form_of(request: Request) -> Form:
    """application/x-www-form-urlencoded. Raises a 400, 413 or 415."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise HTTPException(415, "a form is wanted")
    body = await bounded(request, MOST_BYTES)
    try:
        return dict(parse_qsl(body.decode("ascii"), max_num_fields=20, keep_blank_values=True))
    except (UnicodeDecodeError, ValueError):
        raise HTTPException(400, "this is not a form") from None


async def meant(request: Request, session: Session) -> Form:
    """The form, if it was sent from a page that this session was shown. Raises a 403 otherwise: nothing was done."""
    form = await form_of(request)
    identity: Identity = request.app.state.identity
    given = form.get("csrf", "")
    if not identity.is_ours(request) or not hmac.compare_digest(session.csrf, given if given.isascii() else ""):
        raise HTTPException(403, "the form did not come from this page: nothing was done")
    return form

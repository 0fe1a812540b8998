"""What browsers are told, and what they say: the headers of a page, cookies, forms, and whether a form is one of ours. Knows no
HTTP framework: headers come as a mapping that has lower-case names.
"""

import hmac
import re
from collections.abc import Mapping
from typing import Literal, TypedDict
from urllib.parse import parse_qsl, urlsplit

Form = dict[str, str]
# Beside the Content-Security-Policy, which is each program's own.
PAGE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer a browser would not say where a form comes from
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_HOST = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_MOST_FIELDS = 20


class CookieTerms(TypedDict):
    max_age: int
    path: str
    httponly: bool
    samesite: Literal["lax"]
    secure: bool


def cookie_terms(lasts: int, *, secure: bool) -> CookieTerms:
    """For `lasts` seconds; no script sees it, and no form of another site brings it along."""
    return {"max_age": lasts, "path": "/", "httponly": True, "samesite": "lax", "secure": secure}


def cookie_name(name: str, *, secure: bool) -> str:
    """Over TLS with the prefix that keeps other hosts of the domain from setting it."""
    return f"__Host-{name}" if secure else name


def origin_of(url: str, scheme: str, headers: Mapping[str, str]) -> str:
    """Scheme and host by which browsers reach us: as `url` says it, or else the request; without a host that is one, nothing
    is ours."""
    if url:
        found = urlsplit(url)
        return f"{found.scheme}://{found.netloc}"
    host = headers.get("host", "")
    return f"{scheme}://{host if _HOST.fullmatch(host) else ''}"


def came_from(origin: str, headers: Mapping[str, str]) -> bool:
    """Whether a form was sent from a page of that origin: every browser says so on a POST."""
    said = headers.get("origin")
    return said == origin if said is not None else headers.get("sec-fetch-site") == "same-origin"


def is_meant(csrf: str, form: Mapping[str, str]) -> bool:
    """Whether the form is of the session that `csrf` is of."""
    given = form.get("csrf", "")
    return hmac.compare_digest(csrf, given if given.isascii() else "")


def is_form(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").partition(";")[0].strip().lower() == "application/x-www-form-urlencoded"


def form_from(body: bytes) -> Form | None:
    """None for what is no form."""
    try:
        return dict(parse_qsl(body.decode("ascii"), max_num_fields=_MOST_FIELDS, keep_blank_values=True))
    except (UnicodeDecodeError, ValueError):
        return None

"""How people prove who they are, for the agent's pages and the sidecar's alike: tokens of an identity provider, the log-in of a
browser there, sealed cookies, failed tries, and a file of people that is read again when it changes.

What is the same on both sides and nothing else: who is known, what they may do, and what a page looks like is each side's own.
Nothing is shared at run time: each process has its own key, its own file and its own client at the provider. Imports neither.
"""

from identity.browser import (
    PAGE_HEADERS,
    Form,
    came_from,
    cookie_name,
    cookie_terms,
    form_from,
    is_form,
    is_meant,
    origin_of,
)
from identity.errors import IdentityUnavailable
from identity.guesses import Guesses
from identity.login import LOG_IN_LASTS, Arrival, Client, LogIn
from identity.provider import Provider, is_safe
from identity.roll import Roll, hash_of, quoted
from identity.seal import SHORTEST_KEY, Seal
from identity.tokens import Claims, Verifier, is_token

__all__ = [
    "LOG_IN_LASTS",
    "PAGE_HEADERS",
    "SHORTEST_KEY",
    "Arrival",
    "Claims",
    "Client",
    "Form",
    "Guesses",
    "IdentityUnavailable",
    "LogIn",
    "Provider",
    "Roll",
    "Seal",
    "Verifier",
    "came_from",
    "cookie_name",
    "cookie_terms",
    "form_from",
    "hash_of",
    "is_form",
    "is_meant",
    "is_safe",
    "is_token",
    "origin_of",
    "quoted",
]

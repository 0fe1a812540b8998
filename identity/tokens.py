"""Tokens of an identity provider: verified, or nobody. A door to PyJWT; knows no roles and no HTTP.

Only asymmetric algorithms; the issuer, the audience, the times and the subject must be there and fit; nothing that the token
says about keys is believed (RFC 8725). RFC 7519; OpenID Connect Core 1.0, section 3.1.3.7.
"""

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from identity.provider import Provider

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
LEEWAY = 60  # seconds between two clocks
LONGEST_TOKEN = 16_384
MOST_GROUPS = 1000
_TYPES = ("jwt", "at+jwt")
_NEEDED = ("iss", "sub", "aud", "exp", "iat")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a verified token says. `called` is what the person calls themselves: for showing, never for knowing.
    `email` is "" unless the provider vouches for it."""

    subject: str
    issued_at: datetime
    groups: frozenset[str]
    called: str
    email: str
    names: frozenset[str]
    nonce: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    provider: Provider
    audience: str
    groups_claim: str = "groups"
    name_claim: str = "name"

    def verify(self, token: str, *, audience: str = "", nonce: str | None = None) -> Claims | None:
        """None for whatever is not a valid token of this provider for this audience. Raises IdentityUnavailable.

        `nonce`: what an ID token of a log-in must carry.
        """
        import jwt  # noqa: PLC0415  a tenth of the start, and of every command, that only an identity provider needs

        if not is_token(token):
            return None
        wanted = audience or self.audience
        try:
            header = jwt.get_unverified_header(token)
            algorithm, kid = header.get("alg"), header.get("kid", "")
            if algorithm not in ALGORITHMS or "crit" in header or not isinstance(kid, str):
                return None
            if str(header.get("typ", "JWT")).lower().removeprefix("application/") not in _TYPES:
                return None  # such as a log-out token: for us too, and no proof of anybody being there
            key = self.provider.key(kid)
            if key is None or key.get("alg", algorithm) != algorithm:
                return None
            claims = jwt.decode(
                token,
                jwt.PyJWK(key, algorithm=algorithm),
                algorithms=[algorithm],
                audience=wanted,
                issuer=self.provider.issuer,
                leeway=LEEWAY,
                options={"require": list(_NEEDED), "enforce_minimum_key_length": True},
            )
        except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            return None
        audiences = claims["aud"]
        if isinstance(audiences, list) and len(audiences) > 1 and claims.get("azp") not in (None, wanted):
            return None  # made for another client, with us among the audience
        if nonce is not None and not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            return None
        return self._read(claims)

    def _read(self, claims: dict[str, Any]) -> Claims | None:
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
            return None
        if subject in (claims.get("client_id"), claims.get("azp")):
            return None  # what a program got for itself (RFC 9068 section 2.2) speaks of no person
        email = _text(claims, "email") if claims.get("email_verified") is True else ""
        groups: Any = claims
        for part in self.groups_claim.split("."):  # such as realm_access.roles
            groups = groups.get(part) if isinstance(groups, dict) else None
        listed = groups if isinstance(groups, list) else []
        named = (_text(claims, name) for name in ("preferred_username", "upn", "email", self.name_claim))
        try:
            issued_at = datetime.fromtimestamp(claims["iat"], UTC)
        except (ValueError, OverflowError, OSError, TypeError):
            return None
        return Claims(
            subject=subject,
            issued_at=issued_at,
            groups=frozenset(group for group in listed[:MOST_GROUPS] if isinstance(group, str)),
            called=_text(claims, self.name_claim),
            email=email,
            names=frozenset(name for name in named if name),
            nonce=_text(claims, "nonce"),
        )


def is_token(text: str) -> bool:
    """Whether it has the shape of a signed JWT."""
    return len(text) <= LONGEST_TOKEN and text.count(".") == 2 and text.isascii()


def _text(claims: dict[str, Any], name: str) -> str:
    found = claims.get(name)
    return found[:200] if isinstance(found, str) else ""

"""ServiceAccount tokens: real JWTs, checked against the store with the ten-second cache of a real authenticator."""

import base64
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from lab.api.request import Identity
from lab.clock import LabClock
from lab.store import Key, Store

ISSUER = "https://kubernetes.default.svc.cluster.local"
CACHE_SECONDS = 10.0  # measured on a real server: a check that succeeded is believed for ten seconds
LEEWAY_SECONDS = 60  # measured: accepted for 60 s past `exp`, plus the cache


class BadToken(Exception):
    """Why, in the words of a TokenReview; a 401 never says so."""


@dataclass(frozen=True, slots=True)
class _Checked:
    identity: Identity
    audiences: tuple[str, ...]
    at: float


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def _key_id() -> str:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(_key().public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
    return _b64(digest.finalize())


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Tokens:
    """Call with the store's lock held."""

    def __init__(self, store: Store, clock: LabClock) -> None:
        self._store, self._clock = store, clock
        self._cache: dict[tuple[str, tuple[str, ...]], _Checked] = {}

    def mint(
        self, account: Mapping[str, Any], *, seconds: int, audiences: Sequence[str], bound: Mapping[str, Any] | None = None
    ) -> str:
        """A token of a ServiceAccount object; `bound` is {kind, name, uid} of a Pod, Secret or Node."""
        now = int(self._clock.now().timestamp())
        meta = account["metadata"]
        private: dict[str, Any] = {"namespace": meta["namespace"], "serviceaccount": {"name": meta["name"], "uid": meta["uid"]}}
        if bound is not None:
            private[str(bound["kind"]).lower()] = {"name": bound["name"], "uid": bound["uid"]}
        payload = {
            "aud": list(audiences),
            "exp": now + seconds,
            "iat": now,
            "iss": ISSUER,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": private,
            "nbf": now,
            "sub": f"system:serviceaccount:{meta['namespace']}:{meta['name']}",
        }
        parts = [_b64(json.dumps(p, separators=(",", ":")).encode()) for p in ({"alg": "RS256", "kid": _key_id()}, payload)]
        signature = _key().sign(".".join(parts).encode(), padding.PKCS1v15(), hashes.SHA256())
        return ".".join([*parts, _b64(signature)])

    def check(self, token: str, audiences: Sequence[str] = ()) -> tuple[Identity, tuple[str, ...]]:
        """Who holds it, and for which of the wanted audiences. BadToken."""
        wanted = tuple(audiences) or (ISSUER,)
        now = self._clock.now().timestamp()
        cached = self._cache.get((token, wanted))
        if cached is not None and now - cached.at < CACHE_SECONDS:
            return cached.identity, cached.audiences
        self._cache.pop((token, wanted), None)
        identity, good = self._verify(token, wanted, now)
        self._cache[(token, wanted)] = _Checked(identity, good, now)
        return identity, good

    def _verify(self, token: str, wanted: tuple[str, ...], now: float) -> tuple[Identity, tuple[str, ...]]:
        claims = self._claims(token)
        good = tuple(a for a in wanted if a in claims["aud"])
        if not good:
            raise BadToken(
                f"[invalid bearer token, token audiences {json.dumps(claims['aud'])} is invalid for the target audiences "
                f"{json.dumps(list(wanted))}]"
            )
        if now > claims["exp"] + LEEWAY_SECONDS:
            raise BadToken("[invalid bearer token, service account token has expired]")
        private = claims["kubernetes.io"]
        self._bound_objects(private)
        namespace = private["namespace"]
        extra = {"authentication.kubernetes.io/credential-id": (f"JTI={claims['jti']}",)}
        if "pod" in private:
            extra["authentication.kubernetes.io/pod-name"] = (private["pod"]["name"],)
            extra["authentication.kubernetes.io/pod-uid"] = (private["pod"]["uid"],)
            pod = self._store.get(Key("", "pods", namespace, private["pod"]["name"])) or {}
            node = self._store.get(Key("", "nodes", "", str((pod.get("spec") or {}).get("nodeName") or "")))
            if node is not None:
                extra["authentication.kubernetes.io/node-name"] = (node["metadata"]["name"],)
                extra["authentication.kubernetes.io/node-uid"] = (node["metadata"]["uid"],)
        identity = Identity(
            username=claims["sub"],
            uid=private["serviceaccount"]["uid"],
            groups=("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"),
            extra=extra,
        )
        return identity, good

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            head, body, signature = token.split(".")
            claims = json.loads(_unb64(body))
            raw = _unb64(signature)
        except (ValueError, UnicodeDecodeError) as exc:
            raise BadToken("invalid bearer token") from exc
        try:
            _key().public_key().verify(raw, f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature as exc:
            raise BadToken("[invalid bearer token, failed to verify id token signature]") from exc
        if not isinstance(claims, dict) or claims.get("iss") != ISSUER:
            raise BadToken("invalid bearer token")
        return claims

    def _bound_objects(self, private: Mapping[str, Any]) -> None:
        namespace = private["namespace"]
        account = private["serviceaccount"]
        live = self._store.get(Key("", "serviceaccounts", namespace, account["name"]))
        if live is None:
            raise BadToken(f'[invalid bearer token, serviceaccounts "{account["name"]}" not found]')
        if live["metadata"]["uid"] != account["uid"]:
            raise BadToken("[invalid bearer token, service account UID does not match claim]")
        for kind in ("pod", "secret", "node"):
            if kind in private:
                where = "" if kind == "node" else namespace
                found = self._store.get(Key("", f"{kind}s", where, private[kind]["name"]))
                if found is None or found["metadata"]["uid"] != private[kind]["uid"]:
                    raise BadToken("[invalid bearer token, service account token has been invalidated]")

"""An identity provider on loopback: discovery, keys, an authorization endpoint that says yes at once, a token endpoint that
checks the code, the PKCE verifier and the client. Real keys; every token is signed for real."""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

CLIENT, AUDIENCE = "lestrade-page", "lestrade-sidecar"


@dataclass
class Key:
    """`kid` and `alg` as the provider publishes them."""

    kid: str
    alg: str
    private: Any

    @classmethod
    def make(cls, kid: str, alg: str = "RS256") -> "Key":
        private = ec.generate_private_key(ec.SECP256R1()) if alg == "ES256" else rsa.generate_private_key(65537, 2048)
        return cls(kid, alg, private)

    def public(self) -> dict[str, Any]:
        algorithm = ECAlgorithm if self.alg == "ES256" else RSAAlgorithm
        return {**json.loads(algorithm.to_jwk(self.private.public_key())), "kid": self.kid, "alg": self.alg, "use": "sig"}


@dataclass
class FakeProvider:
    issuer: str = ""
    keys: list[Key] = field(default_factory=lambda: [Key.make("key-1")])
    down: bool = False
    asked: list[str] = field(default_factory=list)
    logs_in: dict[str, Any] = field(default_factory=lambda: {"sub": "sub-gil", "name": "Gil", "groups": ["sre-team"]})
    discovery: dict[str, Any] = field(default_factory=dict)
    spoils: dict[str, Any] = field(default_factory=dict)  # laid over the ID token of a log-in
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def token(
        self, subject: str = "sub-gil", *, key: Key | None = None, headers: dict[str, Any] | None = None, **claims: Any
    ) -> str:
        """A bearer token; a claim that is None is left out."""
        key = key or self.keys[0]
        now = int(time.time())
        said = {"iss": self.issuer, "sub": subject, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 600, "name": "Gil"}
        said = {name: value for name, value in (said | claims).items() if value is not None}
        return jwt.encode(said, key.private, key.alg, headers={"kid": key.kid, **(headers or {})})

    def document(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "jwks_uri": f"{self.issuer}/keys",
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            **self.discovery,
        }

    def authorize(self, query: dict[str, str]) -> str:
        """The person says yes; back to the page with a code."""
        code = secrets.token_urlsafe(16)
        self._codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def exchange(self, form: dict[str, str]) -> dict[str, Any] | None:
        asked = self._codes.pop(form.get("code", ""), None)
        if asked is None or form.get("redirect_uri") != asked["redirect_uri"] or form.get("client_id") != asked["client_id"]:
            return None
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=")
        if challenge.decode() != asked["code_challenge"]:
            return None
        claims = {"nonce": asked["nonce"], "aud": asked["client_id"], **self.logs_in, **self.spoils}
        return {"id_token": self.token(claims.pop("sub"), **claims), "token_type": "Bearer"}


@contextmanager
def running_provider() -> Iterator[FakeProvider]:
    provider = FakeProvider()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(provider))
    provider.issuer = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()


def _handler(provider: FakeProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = urlsplit(self.path)
            provider.asked.append(found.path)
            match found.path:
                case _ if provider.down:
                    self._send(503, {})
                case "/.well-known/openid-configuration":
                    self._send(200, provider.document())
                case "/keys":
                    self._send(200, {"keys": [key.public() for key in provider.keys]})
                case "/authorize":
                    query = {name: values[0] for name, values in parse_qs(found.query).items()}
                    self._send(303, {}, provider.authorize(query))
                case _:
                    self._send(404, {})

        def do_POST(self) -> None:
            provider.asked.append(self.path)
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            came = provider.exchange(dict(parse_qsl(body))) if not provider.down and self.path == "/token" else None
            self._send(200 if came else 400, came or {"error": "invalid_grant"})

        def _send(self, status: int, document: dict[str, Any], location: str = "") -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler

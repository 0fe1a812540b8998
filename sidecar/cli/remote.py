"""The people's side of a running sidecar, as an operator's command sees it."""

import os
import ssl
from typing import Any

import httpx

from sidecar.cli.ending import fail

# Over what is not encrypted no authority is asked, and to read the system's takes a processor 50 ms.
NO_AUTHORITY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Remote:
    def __init__(self, url: str, token: str) -> None:
        self._http = httpx.Client(
            base_url=url.rstrip("/"),
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(60, connect=3),
            verify=NO_AUTHORITY if url.startswith("http://") else True,
            trust_env=False,
        )
        self._url = url

    @classmethod
    def from_environment(cls) -> "Remote":
        """LESTRADE_SIDECAR_PEOPLE_URL and LESTRADE_OPERATOR_TOKEN."""
        url = os.environ.get("LESTRADE_SIDECAR_PEOPLE_URL", "http://127.0.0.1:8182")
        token = os.environ.get("LESTRADE_OPERATOR_TOKEN", "")
        if not token:
            fail(2, "LESTRADE_OPERATOR_TOKEN is not set: lestrade-sidecar people add NAME --role ROLE prints one")
        if not token.isascii() or not token.isprintable() or " " in token:
            fail(2, "LESTRADE_OPERATOR_TOKEN holds no token")
        if not url.startswith(("http://", "https://")):
            fail(2, "LESTRADE_SIDECAR_PEOPLE_URL: expected http://host:port")
        try:
            return cls(url, token)
        except httpx.InvalidURL:
            fail(2, "LESTRADE_SIDECAR_PEOPLE_URL: expected http://host:port")

    def get(self, path: str, **params: str | int) -> Any:
        return self._ask("GET", path, params=params)

    def post(self, path: str, body: dict[str, object]) -> Any:
        return self._ask("POST", path, body=body)

    def _ask(self, method: str, path: str, *, params: dict[str, str | int] | None = None, body: object = None) -> Any:
        try:
            response = self._http.request(method, path, params=params, json=body)
            document = response.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as exc:
            fail(
                4,
                f"no sidecar answers at {self._url} ({type(exc).__name__}): is `lestrade-sidecar serve` running, and does "
                "LESTRADE_SIDECAR_PEOPLE_URL lead to it?",
            )
        if response.status_code < 300:
            return document
        said = document if isinstance(document, dict) else {}
        line = f"{said.get('code', response.status_code)}: {said.get('detail') or said.get('title') or 'refused'}"
        if response.status_code == 401:
            line += "; LESTRADE_OPERATOR_TOKEN holds none that this sidecar knows"
        code = {401: 2, 400: 2, 404: 2, 503: 5 if said.get("code") == "journal-unavailable" else 4}.get(response.status_code, 1)
        return fail(code, line)

"""The sidecar over HTTP. One failure type comes out, whatever went wrong inside; a refusal of a lease is a value."""

import ssl
from pathlib import Path
from typing import Literal, TypeVar

import httpx

from agent.errors import GovernanceUnavailable, InputError
from agent.ports.cluster import READING_FOR
from agent.ports.tracing import carried
from sidecar.contract import Lease, MalformedMessage, Message, Plan, PlanStatus, Problem, Settlement, StepResult, UndoResult
from sidecar.contract.problem import MEDIA_TYPE

Answer = TypeVar("Answer", bound=Message)
MAX_ANSWER_BYTES = 4_194_304
STEP_SECONDS = 120.0  # a drain waits for evictions
# Over what is not encrypted no authority is asked, and to read the system's takes a processor 50 ms.
NO_AUTHORITY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class SidecarClient:
    """The Governance port over `unix:///path` or `http://host:port`."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    @classmethod
    def connect(cls, url: str, *, token: str) -> "SidecarClient":
        """Nothing is sent yet. Raises InputError for a URL of another kind."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        timeout = httpx.Timeout(STEP_SECONDS, connect=3)
        if url.startswith("unix://"):
            transport = httpx.AsyncHTTPTransport(uds=url.removeprefix("unix://"), verify=NO_AUTHORITY)
            return cls(httpx.AsyncClient(transport=transport, base_url="http://sidecar", headers=headers, timeout=timeout))
        if url.startswith(("http://", "https://")):
            verify = NO_AUTHORITY if url.startswith("http://") else True
            root = url.rstrip("/")
            return cls(httpx.AsyncClient(base_url=root, headers=headers, timeout=timeout, verify=verify, trust_env=False))
        raise InputError("LESTRADE_SIDECAR_URL: expected unix:///path or http://host:port")

    async def ready(self) -> None:
        response = await self._send("GET", "/readyz")
        if response.status_code != 200:
            raise _unusable(response)

    async def submit(self, plan: Plan) -> PlanStatus:
        status = await self._ask("POST", "/v1/plans", PlanStatus, content=plan.canonical())
        return _about(status, plan.digest)

    async def status(self, digest: str, *, wait_seconds: int = 0) -> PlanStatus:
        status = await self._ask("GET", f"/v1/plans/{digest}", PlanStatus, wait=wait_seconds)
        return _about(status, digest)

    async def lease(self, digest: str) -> Lease | Problem:
        response = await self._send("POST", f"/v1/plans/{digest}/lease")
        if response.status_code in (200, 201):
            lease = _read(response, Lease)
            if lease.plan != digest:
                raise GovernanceUnavailable("the sidecar answered with a lease of another plan")
            return lease
        # 5xx is "cannot", even when it is told as a problem; 4xx is a no with a reason.
        if response.status_code < 500 and response.headers.get("content-type", "").startswith(MEDIA_TYPE):
            return _read(response, Problem)
        raise _unusable(response)

    async def perform(self, lease: str, step: str) -> StepResult:
        result = await self._ask("POST", f"/v1/leases/{lease}/steps/{step}", StepResult)
        if (result.lease, result.step) != (lease, step):
            raise GovernanceUnavailable("the sidecar answered about another step")
        return result

    async def undo(self, lease: str) -> UndoResult:
        return await self._ask("POST", f"/v1/leases/{lease}/undo", UndoResult)

    async def settle(
        self, lease: str, outcome: Literal["helped", "did-not-help", "undone", "not-performed", "unknown"]
    ) -> Settlement:
        return await self._ask("POST", f"/v1/leases/{lease}/settle", Settlement, body={"outcome": outcome})

    async def close(self) -> None:
        await self._http.aclose()

    async def _ask(
        self,
        method: str,
        path: str,
        kind: type[Answer],
        *,
        content: bytes | None = None,
        body: dict[str, str] | None = None,
        wait: int = 0,
    ) -> Answer:
        response = await self._send(method, path, content=content, body=body, wait=wait)
        if response.status_code != 200:
            raise _unusable(response)
        return _read(response, kind)

    async def _send(
        self, method: str, path: str, *, content: bytes | None = None, body: dict[str, str] | None = None, wait: int = 0
    ) -> httpx.Response:
        params = {"wait": str(wait)} if wait else None
        timeout = httpx.Timeout(wait + 15.0, connect=3) if method == "GET" else self._http.timeout
        headers = {**carried(), **({"Content-Type": "application/json"} if content is not None else {})}
        if run := READING_FOR.get():
            headers["Lestrade-Run"] = run  # for the sidecar's log
        try:
            return await self._http.request(
                method, path, content=content, json=body, params=params, timeout=timeout, headers=headers
            )
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as exc:
            # The class says enough; httpx puts addresses, and some proxies' headers, into the text.
            raise GovernanceUnavailable(f"the sidecar does not answer ({type(exc).__name__})") from exc


def read_token(path: Path | None) -> str:
    """The bearer token; raises InputError, which names the file and never its content."""
    if path is None:
        return ""
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"sidecar token file {path}: {getattr(exc, 'strerror', None) or 'not plain text'}") from None
    if not token or not token.isprintable() or " " in token:
        raise InputError(f"sidecar token file {path}: holds no token")
    return token


def _about(status: PlanStatus, digest: str) -> PlanStatus:
    if status.plan != digest or status.decision.plan != digest:
        raise GovernanceUnavailable("the sidecar answered about another plan")
    return status


def _read(response: httpx.Response, kind: type[Answer]) -> Answer:
    if len(response.content) > MAX_ANSWER_BYTES:
        raise GovernanceUnavailable("the sidecar's answer is too long to be one")
    try:
        return kind.from_bytes(response.content)
    except MalformedMessage as exc:
        raise GovernanceUnavailable(f"the sidecar's answer is no {kind.__name__}: {exc}") from exc


def _unusable(response: httpx.Response) -> GovernanceUnavailable:
    said = ""
    if response.headers.get("content-type", "").startswith(MEDIA_TYPE):
        try:
            problem = Problem.from_bytes(response.content)
            said = f": {problem.code}: {problem.detail or problem.title}"
        except MalformedMessage:
            said = ""
    return GovernanceUnavailable(f"the sidecar answered {response.status_code}{said}")

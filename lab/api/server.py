"""The API server: HTTPS in a background thread over a store, with a log of what was asked. Knows no scenario."""

import asyncio
import socket
import ssl
import tempfile
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import trustme
import uvicorn
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lab.api import bootstrap, media
from lab.api.cluster import Cluster, LogSource, NoLogs
from lab.api.definitions import Definitions
from lab.api.dispatch import Dispatcher
from lab.api.housekeeping import Housekeeping
from lab.api.request import Answer, Call, parse
from lab.api.status import ApiError
from lab.api.tokens import ISSUER
from lab.api.watching import Feed
from lab.clock import LabClock
from lab.store import Key, Object, Store

TICK_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestEntry:
    """One answered request. `at` is lab time (RFC 3339); `identity` is admin, namespace/serviceaccount, or the user name."""

    at: str
    identity: str
    method: str
    path: str
    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    dry_run: bool
    status: int
    body: Any  # the request's body, parsed where it is JSON; None without one. Never holds a token.

    @property
    def is_write(self) -> bool:
        """A change that happened: no dry run, no review, no refusal."""
        changing = self.verb in ("create", "update", "patch", "delete", "deletecollection")
        return changing and not self.dry_run and self.status < 300 and not self.resource.endswith("reviews")


class ApiServer:
    """`start()` before use, `stop()` after. `on_request` callbacks run before a request is handled, outside the store's lock."""

    def __init__(self, store: Store, clock: LabClock, *, logs: LogSource | None = None, controllers: bool = True) -> None:
        self.cluster = Cluster(store=store, clock=clock, logs=logs or NoLogs())
        self.requests: list[RequestEntry] = []
        self.faults: list[str] = []  # tracebacks of what went wrong inside
        self.housekeeping = Housekeeping(self.cluster)
        self.housekeeping.paused = not controllers
        self._feed = Feed(self.cluster)
        self._dispatcher = Dispatcher(self.cluster, self._feed)
        self._hooks: list[Callable[[Call], None]] = []
        self._log_lock = threading.Lock()
        self._authority = trustme.CA(organization_name="laboratory")
        self.cluster.ca_pem = self._authority.cert_pem.bytes().decode()
        with store.lock:
            store.subscribe(Definitions(self.cluster).noticed)
            store.subscribe(self.housekeeping.noticed)
            bootstrap.fill(self.cluster)
            self.housekeeping.run()
        clock.on_advance(self.housekeeping.run)
        self._server: uvicorn.Server | None = None
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self.port = 0

    # --- life -----------------------------------------------------------------------------------------------------

    def start(self) -> "ApiServer":
        """Listen on a free loopback port. Returns when requests are answered."""
        self._directory = tempfile.TemporaryDirectory(prefix="lab-api-")
        where = Path(self._directory.name)
        leaf = self._authority.issue_cert("127.0.0.1", "localhost")
        leaf.private_key_and_cert_chain_pem.write_to_path(str(where / "server.pem"))
        self._authority.cert_pem.write_to_path(str(where / "ca.pem"))
        # Said to be TCP, or asyncio leaves Nagle's algorithm on, and each answer waits 40 ms for an acknowledgement.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self.cluster.address = f"127.0.0.1:{self.port}"
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            log_level="error",
            lifespan="off",
            server_header=False,
            date_header=False,
            ws="none",
            timeout_graceful_shutdown=1,
            ssl_certfile=str(where / "server.pem"),
            ssl_version=ssl.PROTOCOL_TLS_SERVER,
            access_log=False,
            timeout_keep_alive=60,
            backlog=256,
        )
        self._server = uvicorn.Server(config)
        ready = threading.Event()
        self._threads = [
            threading.Thread(target=self._serve, args=(listener, ready), name="lab-api", daemon=True),
            threading.Thread(target=self._tick, name="lab-api-housekeeping", daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        if not ready.wait(10):
            raise RuntimeError("the simulated API server did not start")
        return self

    def stop(self) -> None:
        self._stopping.set()
        self._feed.close()
        if self._server is not None:
            self._server.should_exit = self._server.force_exit = True
        for thread in self._threads:
            thread.join(5)
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None

    def __enter__(self) -> "ApiServer":
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _serve(self, listener: socket.socket, ready: threading.Event) -> None:
        server = self._server
        assert server is not None

        async def main() -> None:
            self._feed.bind(asyncio.get_running_loop())
            listener.listen(256)  # from here on connections wait to be accepted
            ready.set()
            await server.serve(sockets=[listener])

        asyncio.run(main())

    def _tick(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            self.housekeeping.run()

    # --- for those who hold it ------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca_file(self) -> Path:
        assert self._directory is not None, "the server is not started"
        return Path(self._directory.name) / "ca.pem"

    @property
    def admin_token(self) -> str:
        return self.cluster.admin_token

    def mint(self, identity: str, *, seconds: int = 3600) -> str:
        """A token for "admin" or "namespace/serviceaccount". KeyError when there is no such account."""
        if identity == "admin":
            return self.admin_token
        namespace, _, name = identity.partition("/")
        with self.cluster.store.lock:
            account = self.cluster.store.get(Key("", "serviceaccounts", namespace, name))
            if account is None:
                raise KeyError(identity)
            return self.cluster.tokens.mint(account, seconds=seconds, audiences=[ISSUER])

    def on_request(self, hook: Callable[[Call], None]) -> None:
        """Called with each request before it is handled, in its thread, without the lock: scripted interference."""
        self._hooks.append(hook)

    def call(
        self,
        method: str,
        path: str,
        body: Object | list[Any] | None = None,
        *,
        token: str | None = None,
        content_type: str = "application/json",
        manager: str = "lab",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """A request without the network, as admin unless a token is given: (status, parsed body). Controllers may use it."""
        fields = {
            "authorization": f"Bearer {token or self.admin_token}",
            "content-type": content_type,
            "user-agent": f"{manager}/lab",
            "accept": "application/json",
        }
        fields |= {k.lower(): v for k, v in (headers or {}).items()}
        raw = b"" if body is None else orjson.dumps(body)
        request = parse(method, path, {k: [v] for k, v in fields.items()}, raw)
        answer = self._handled(request)
        if isinstance(answer.body, bytes):
            return answer.status, answer.body.decode()
        return answer.status, answer.body

    def compact(self, revision: int | None = None) -> None:
        """Forget history up to a revision (default: now): older watches and continue tokens are gone."""
        with self.cluster.store.lock:
            self.cluster.compacted = self.cluster.store.revision if revision is None else revision

    # --- requests -------------------------------------------------------------------------------------------------

    def _handled(self, call: Call) -> Answer:
        for hook in list(self._hooks):
            hook(call)
        try:
            answer = self._dispatcher.answer(call)
        except Exception as exc:  # noqa: BLE001 - a fault of the laboratory is an answer, and is kept for tests to see
            self.faults.append("".join(traceback.format_exception(exc)))
            answer = Answer(
                status=500, body=ApiError(500, "InternalError", f"Internal error occurred: {type(exc).__name__}").document()
            )
        self._record(call, answer.status)
        if call.target.resource == "namespaces" and call.target.verb == "create":
            self.housekeeping.run()  # its default account is there when the answer is: nobody has to wait for it
        return answer

    def _record(self, call: Call, status: int) -> None:
        target = call.target
        entry = RequestEntry(
            at=self.cluster.now(),
            identity=call.identity.label,
            method=call.method,
            path=call.path,
            verb=target.verb,
            group=target.group,
            resource=target.resource,
            subresource=target.subresource,
            namespace=target.namespace,
            name=target.name,
            dry_run=call.dry_run,
            status=status,
            body=_logged(call),
        )
        with self._log_lock:
            self.requests.append(entry)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        body = await request.body()
        headers: dict[str, list[str]] = {}
        for name, value in request.headers.items():
            headers.setdefault(name.lower(), []).append(value)
        raw_path = scope.get("raw_path", b"").decode("latin-1") or request.url.path
        query = scope.get("query_string", b"").decode("latin-1")
        call = parse(request.method, raw_path + (f"?{query}" if query else ""), headers, body)
        call.audit_id = headers.get("audit-id", [call.audit_id])[0]
        gone = asyncio.Event()
        call.cancelled = lambda: gone.is_set() or self._feed.closing
        answer = await asyncio.to_thread(self._handled, call)
        response = self._response(call, answer)
        try:
            await response(scope, receive, send)
        finally:
            gone.set()

    def _response(self, call: Call, answer: Answer) -> Response:
        headers = {"Audit-Id": call.audit_id, "Cache-Control": "no-cache, private", "Content-Type": answer.media or media.JSON}
        headers["Date"] = f"{self.cluster.clock.now():%a, %d %b %Y %H:%M:%S} GMT"
        headers |= answer.headers
        response: Response
        if answer.stream is not None:
            response = StreamingResponse(_alive(answer.stream), status_code=answer.status, headers=headers)
        else:
            response = Response(_bytes(call, answer), status_code=answer.status, headers=headers)
            if answer.status == 204:
                del response.headers["content-type"]
        for warning in dict.fromkeys(call.warnings):
            text = warning.replace("\\", "\\\\").replace('"', '\\"')
            response.headers.append("Warning", f'299 - "{text}"')
        return response


def _bytes(call: Call, answer: Answer) -> bytes:
    if answer.body is None:
        return b""
    if isinstance(answer.body, bytes):
        return answer.body
    return media.dump(answer.body, answer.media.split(";")[0] or media.JSON, pretty=call.flag("pretty"))


async def _alive(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """An empty first chunk sends the headers at once: a watch without news is an answer too."""
    yield b""
    async for chunk in stream:
        yield chunk


def _logged(call: Call) -> Any:
    if not call.body:
        return None
    if call.target.resource == "tokenreviews":
        return {"kind": "TokenReview"}
    try:
        return orjson.loads(call.body)
    except orjson.JSONDecodeError:
        return call.body.decode(errors="replace")

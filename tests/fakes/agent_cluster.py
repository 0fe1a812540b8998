"""A small Kubernetes API over HTTP, on TCP or a Unix socket: lists in pages, logs, refusals, and the traps of real ones."""

import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

DATE = "Mon, 04 May 2026 12:00:00 GMT"


@dataclass
class FakeApi:
    """`lists` maps a path to its items; `refuse` a path to (status, message); `logs` a path with query words to text."""

    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    refuse: dict[str, tuple[int, str]] = field(default_factory=dict)
    logs: dict[tuple[str, str, bool], str] = field(default_factory=dict)
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    expire_tokens: int = 0  # so many continue tokens are answered with 410 Gone
    fail_first: int = 0  # so many requests are answered with 503
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    runs: set[str] = field(default_factory=set)  # what readers named themselves

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, str, str]:
        self.asked.append((path, query))
        if self.fail_first > 0:
            self.fail_first -= 1
            return _status(503, "the server is starting")
        if path in self.refuse:
            return _status(*self.refuse[path])
        if path.endswith("/log"):
            key = (path.split("/")[-2], query.get("container", ""), query.get("previous") == "true")
            return (200, self.logs[key], "text/plain") if key in self.logs else _status(400, "container is not there")
        if path == "/version":
            return 200, json.dumps({"gitVersion": "v1.36.2"}), "application/json"
        if path in self.objects:
            return 200, json.dumps(self.objects[path]), "application/json"
        if path in self.lists:
            return self._page(path, query)
        if path.rsplit("/", 1)[-1] in KNOWN:
            return 200, json.dumps({"metadata": {}, "items": []}), "application/json"
        return _status(404, "the server could not find the requested resource")

    def _page(self, path: str, query: dict[str, str]) -> tuple[int, str, str]:
        if query.get("continue") and self.expire_tokens > 0:
            self.expire_tokens -= 1
            return _status(410, "the provided continue parameter is too old")
        start, limit = int(query.get("continue") or 0), int(query.get("limit") or 10_000)
        items = self.lists[path][start : start + limit]
        more = {"continue": str(start + limit)} if start + limit < len(self.lists[path]) else {}
        return 200, json.dumps({"metadata": more, "items": items}), "application/json"


KNOWN = {
    "pods", "services", "endpoints", "configmaps", "secrets", "serviceaccounts", "persistentvolumeclaims", "resourcequotas",
    "limitranges", "events", "deployments", "replicasets", "statefulsets", "daemonsets", "jobs", "cronjobs",
    "horizontalpodautoscalers", "poddisruptionbudgets", "endpointslices", "ingresses", "networkpolicies", "namespaces", "nodes",
    "persistentvolumes", "storageclasses", "priorityclasses", "ingressclasses", "validatingwebhookconfigurations",
    "mutatingwebhookconfigurations", "apiservices", "roles", "rolebindings", "clusterroles", "clusterrolebindings",
}  # fmt: skip


def _status(code: int, message: str) -> tuple[int, str, str]:
    return code, json.dumps({"kind": "Status", "status": "Failure", "code": code, "message": message}), "application/json"


def _handler(api: FakeApi, prefix: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            api.tokens.add(self.headers.get("Authorization", ""))
            api.runs.add(self.headers.get("Lestrade-Run", ""))
            query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
            path = unquote(parts.path)
            if not path.startswith(prefix):
                code, body, kind = _status(404, "no such gateway path")
            else:
                code, body, kind = api.answer(path.removeprefix(prefix), query)
            raw = body.encode()
            self.send_response_only(code)
            self.send_header("Date", DATE)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None: ...

    return Handler


class _SocketServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def get_request(self) -> tuple[socket.socket, Any]:
        request, _ = super().get_request()
        return request, ("local", 0)


@contextmanager
def serving(api: FakeApi, *, socket_path: Path | None = None, prefix: str = "") -> Iterator[str]:
    """Serve on a free loopback port, or on the socket; yields the URL."""
    handler = _handler(api, prefix)
    server: socketserver.BaseServer
    if socket_path is not None:
        server, url = _SocketServer(str(socket_path), handler), f"unix://{socket_path}"
    else:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield url
    finally:
        server.shutdown()
        server.server_close()

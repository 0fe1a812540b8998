"""A small threaded HTTP server on loopback for the telemetry APIs: GET and POST form, JSON out."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Response:
    """`body` is JSON, or text when it is a string."""

    status: int
    body: Any


Form = dict[str, list[str]]
Answer = Callable[[str, Form], Response]
MAX_BODY = 1 << 20


def first(form: Form, name: str, default: str = "") -> str:
    return (form.get(name) or [default])[0]


class Server:
    """`answer(path, form)` is called on a thread of its own for each request."""

    def __init__(self, answer: Answer, *, name: str) -> None:
        handler = type("Handler", (_Handler,), {"answer": staticmethod(answer)})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.1}, name=name, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(timeout=5)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body leave in two writes: the second would wait 40 ms
    answer: Answer

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        length = min(int(self.headers.get("Content-Length") or 0), MAX_BODY)
        self._serve(self.rfile.read(length))

    def _serve(self, body: bytes) -> None:
        parts = urlsplit(self.path)
        form = parse_qs(parts.query, keep_blank_values=True)
        for name, values in parse_qs(body.decode(errors="replace"), keep_blank_values=True).items():
            form.setdefault(name, []).extend(values)
        response = type(self).answer(unquote(parts.path), form)
        text = isinstance(response.body, str)
        payload = response.body.encode() if text else json.dumps(response.body, separators=(",", ":")).encode()
        self.send_response(response.status)
        self.send_header("Content-Type", "text/plain; charset=utf-8" if text else "application/json")
        self.send_header("Content-Length", str(len(payload)))
        try:
            self.end_headers()
            self.wfile.write(payload)
        except (BrokenPipeError, ConnectionResetError):  # whoever asked has given up waiting
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the laboratory's own record is the API server's request log."""

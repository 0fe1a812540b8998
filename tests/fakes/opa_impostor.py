"""An HTTP server in the place of OPA that answers as it is told: garbage, nothing, too late, or well."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Impostor:
    """`mode`: json (answers `answer`), raw (answers `text`), error (500), redirect, hang (no byte, until `freed`),
    drip (a byte now and then), flood (a body without end)."""

    server: ThreadingHTTPServer
    mode: str = "json"
    answer: Any = None
    text: bytes = b""
    asked: list[str] = field(default_factory=list)
    freed: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"


@contextmanager
def impostor(port: int = 0) -> Iterator[Impostor]:
    open_connections: list[socket.socket] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None: ...

        def setup(self) -> None:
            super().setup()
            open_connections.append(self.connection)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            there.asked.append(f"{self.command} {self.path}")
            try:
                self._speak()
            except (TimeoutError, BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        do_PUT = do_GET = do_POST

        def _speak(self) -> None:
            match there.mode:
                case "json":
                    self._whole(200, json.dumps(there.answer).encode())
                case "raw":
                    self._whole(200, there.text)
                case "error":
                    self._whole(500, b'{"code": "internal_error", "message": "it broke"}')
                case "redirect":
                    self.send_response(307)
                    self.send_header("Location", "http://127.0.0.1:9/")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                case "hang":
                    there.freed.wait(30)
                    self.close_connection = True
                case "drip" | "flood":
                    self.send_response(200)
                    self.send_header("Content-Length", str(10**12))
                    self.end_headers()
                    piece, pause = (b" ", 0.2) if there.mode == "drip" else (b" " * 1_048_576, 0.0)
                    while not there.freed.is_set():
                        self.wfile.write(piece)
                        self.wfile.flush()
                        time.sleep(pause)

        def _whole(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    there = Impostor(server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield there
    finally:
        there.freed.set()
        server.shutdown()
        server.server_close()
        for connection in open_connections:  # as the end of a process would
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

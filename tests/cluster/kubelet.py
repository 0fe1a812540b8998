"""What an API server asks a kubelet for: a container's log. HTTPS on loopback, for clients of the cluster's authority only."""

import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from lab.api.cluster import LogLine, LogQuery
from lab.clock import LabClock
from lab.laboratory import ContainerLogs
from lab.world.logbook import LogBook
from tests.cluster.authority import Authority

FOLLOW_SECONDS = 0.2


class KubeletApi:
    def __init__(self, authority: Authority, logbook: LogBook, clock: LabClock) -> None:
        signed = authority.sign("kubelet-serving", hosts=("127.0.0.1",))
        logs = ContainerLogs(logbook, clock)

        class Handler(_Handler):
            source = logs

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(signed.certificate, signed.key)
        context.load_verify_locations(authority.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="kubelet-api", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    source: ContainerLogs

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        parts = address.path.strip("/").split("/")
        if len(parts) != 4 or parts[0] != "containerLogs":
            self._whole(404, "404 page not found\n")
            return
        asked = {name: values[-1] for name, values in parse_qs(address.query).items()}
        previous = asked.get("previous") == "true"
        query = LogQuery(namespace=parts[1], pod=parts[2], container=parts[3], previous=previous)
        lines = self.source.lines(query)
        if lines is None and previous:
            self._whole(400, f'previous terminated container "{parts[3]}" in pod "{parts[2]}" not found')
            return
        chosen = _cut(lines or [], asked)
        if asked.get("follow") == "true":
            self._follow(query, asked, chosen, len(lines or []))
        else:
            self._whole(200, "".join(chosen))

    def _whole(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _follow(self, query: LogQuery, asked: dict[str, str], chosen: list[str], seen: int) -> None:
        """Until whoever reads goes away."""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            while True:
                for text in chosen:
                    data = text.encode()
                    self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                self.wfile.flush()
                time.sleep(FOLLOW_SECONDS)
                lines = self.source.lines(query) or []
                chosen = _cut(lines[seen:], {"timestamps": asked.get("timestamps", "")})
                seen = len(lines)
        except OSError:
            self.close_connection = True


def _cut(lines: list[LogLine], asked: dict[str, str]) -> list[str]:
    since = _since(asked)
    shown = [line for line in lines if since is None or line.at >= since]
    if asked.get("tailLines"):
        shown = shown[len(shown) - min(int(asked["tailLines"]), len(shown)) :]
    stamped = asked.get("timestamps") == "true"
    texts = [(f"{_nanos(line.at)} " if stamped else "") + line.text + "\n" for line in shown]
    if asked.get("limitBytes"):
        return ["".join(texts).encode()[: int(asked["limitBytes"])].decode(errors="ignore")]
    return texts


def _since(asked: dict[str, str]) -> float | None:
    if asked.get("sinceSeconds"):
        return (datetime.now(UTC) - timedelta(seconds=int(asked["sinceSeconds"]))).timestamp()
    if asked.get("sinceTime"):
        return datetime.fromisoformat(asked["sinceTime"].replace("Z", "+00:00")).timestamp()
    return None


def _nanos(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"

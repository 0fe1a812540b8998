"""What time it is by the API server, as its answers have it."""

import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from kubernetes.client import Configuration

from sidecar.execution import Looks
from sidecar.execution.cluster import KubernetesCluster
from sidecar.ports import ApiCall

CALL = ApiCall(method="GET", path="/api/v1/namespaces/shop")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Sun, 22 Nov 2026 10:00:00 GMT", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        ("Sun, 22 Nov 2026 12:00:00 +0200", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        ("Sun, 22 Nov 2026 10:00:00 -0000", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        ("ten o'clock", None),
    ],
)
def test_a_date_is_told_in_a_zone_or_not_at_all(said: str, meant: datetime | None) -> None:
    class Dated(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(200)
            self.send_header("Date", said)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Dated) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            looks = Looks(KubernetesCluster(Configuration(host=f"http://127.0.0.1:{server.server_port}"), name="lab"))
            assert looks.send(CALL).date == meant
            assert looks.by_now == meant
        finally:
            server.shutdown()

"""A real Prometheus whose rule really fires, a real Alertmanager that groups, repeats and resolves: one run, with its life."""

import asyncio
import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.e2e.storm import Process, processes, up
from tests.servers import free_port, running_alertmanager, running_prometheus

pytestmark = pytest.mark.timeout(180)

ALERTMANAGER = """
route: {{receiver: lestrade, group_by: [namespace], group_wait: 500ms, group_interval: 1s, repeat_interval: 1s}}
receivers:
  - name: lestrade
    webhook_configs:
      - url: http://127.0.0.1:{port}/webhooks/alertmanager
        send_resolved: true
        http_config: {{basic_auth: {{username: alertmanager, password: "s3cret words"}}}}
"""
PROMETHEUS = """
global: {{scrape_interval: 500ms, evaluation_interval: 500ms}}
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["{alertmanager}"]}}]}}]}}
rule_files: [rules.yml]
scrape_configs: [{{job_name: shop, static_configs: [{{targets: ["127.0.0.1:{target}"]}}]}}]
"""
RULES = """
groups:
  - name: shop
    rules:
      - alert: CheckoutRestarts
        expr: restarts > 0
        labels: {severity: warning, namespace: shop}
        annotations: {summary: checkout restarts}
      - alert: Watchdog
        expr: vector(1)
        labels: {severity: none, namespace: shop}
"""


class Target:
    """What Prometheus scrapes: restarts by pod."""

    def __init__(self) -> None:
        self.restarts: dict[str, int] = {"checkout-7d4b9c6f5d-x2kqz": 0, "checkout-7d4b9c6f5d-zz9zz": 0}

    @contextmanager
    def served(self) -> Iterator[int]:
        restarts = self.restarts

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                lines = [f'restarts{{pod="{pod}"}} {count}' for pod, count in restarts.items()]
                self.send_response(200)
                self.end_headers()
                self.wfile.write(("\n".join(lines) + "\n").encode())

            def log_message(self, *_: object) -> None:
                return

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


async def until(http: httpx.AsyncClient, says) -> dict[str, object]:
    """The one run and its events, as soon as they are so."""
    seen: dict[str, object] = {}
    for _ in range(300):
        with contextlib.suppress(httpx.HTTPError):
            runs = (await http.get("/v1/runs")).json()["runs"]
            if len(runs) == 1:
                events = (await http.get(f"/v1/runs/{runs[0]['id']}/events")).text if runs[0]["state"] == "finished" else ""
                seen = {"run": runs[0], "events": events}
            elif runs:
                raise AssertionError(f"{len(runs)} runs: {[run['incident']['alerts'] for run in runs]}")
            if seen and says(seen):
                return seen
        await asyncio.sleep(0.1)
    raise AssertionError(f"not seen: {json.dumps(seen)[:3000]}")


async def test_grouped_repeated_and_resolved_notifications_make_one_run_with_the_right_life(tmp_path):
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "password").write_text("s3cret words\n")
    target, port = Target(), free_port()
    service = Process(
        "serve",
        tmp_path,
        str(port),
        database_url=f"sqlite:///{tmp_path / 'agent.sqlite'}",
        webhook_user="alertmanager",
        webhook_password_file=tmp_path / "password",
    )
    with contextlib.ExitStack() as stack:
        stack.enter_context(processes(service))
        await up(service, port)
        manager = stack.enter_context(running_alertmanager(tmp_path, ALERTMANAGER.format(port=port)))
        scraped = stack.enter_context(target.served())
        configuration = PROMETHEUS.format(alertmanager=manager.removeprefix("http://"), target=scraped)
        stack.enter_context(running_prometheus(tmp_path, configuration))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            first, second = target.restarts
            target.restarts[first] = 3
            opened = await until(client, lambda seen: seen["run"]["state"] == "finished")
            target.restarts[second] = 2
            joined = await until(client, lambda seen: "was looked into lately" in seen["events"])
            target.restarts[first] = target.restarts[second] = 0
            ended = await until(client, lambda seen: "resolved after the run had ended" in seen["events"])
            metrics = (await client.get("/metrics")).text

    assert opened["run"]["outcome"] == "repaired"
    assert opened["run"]["id"] == joined["run"]["id"] == ended["run"]["id"]
    assert "taken in: alert CheckoutRestarts" in ended["events"]
    counted = [line for line in metrics.splitlines() if line.startswith("lestrade_alerts_total")]
    assert any("ignored" in line for line in counted), counted  # the watchdog, every time

"""The manifests, built and applied to the laboratory, and both programs started as they say: an incident to its report."""

import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from agent.cli.governed import SIDECAR_IDENTITY
from lab.laboratory import Laboratory
from lab.scenarios import load
from tests.deploy import containers
from tests.deploy.built import Document, built, container, environment, kubectl, one, pod_of
from tests.servers import free_port

pytestmark = pytest.mark.skipif(bool(containers.why_not()), reason=containers.why_not())
SCENARIO = "missing-variable"
AGENT_TOKEN, WEBHOOK_TOKEN, SESSION_KEY = (secrets.token_hex(32) for _ in range(3))


class Installed:
    def __init__(self, lab: Laboratory, folder: Path) -> None:
        self.lab = lab
        self.folder = folder
        self.documents = built("sqlite")
        self.pod = pod_of(self.documents)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.agent_url = f"http://127.0.0.1:{free_port()}"
        self.people_url = f"http://127.0.0.1:{free_port()}"
        self.volumes = containers.Volumes(folder / "volumes", self.pod, self._contents())

    def _contents(self) -> dict[str, dict[str, bytes]]:
        config = yaml.safe_load(self.lab.kubeconfig(SIDECAR_IDENTITY).read_text())
        policy = one(self.documents, "ConfigMap", "lestrade-policy")["data"]
        return {
            "agent-token": {"token": AGENT_TOKEN.encode()},
            "webhook-token": {"token": WEBHOOK_TOKEN.encode()},
            "agent-session": {"session.key": SESSION_KEY.encode()},
            "policy": {name: text.encode() for name, text in policy.items()},
            "kube-api-access": {
                "token": config["users"][0]["user"]["token"].encode(),
                "ca.crt": self.lab.ca_file.read_bytes(),
                "namespace": b"lestrade",
            },
        }

    def environment(self, name: str) -> dict[str, str]:
        """What the manifests say, what every kubelet adds, and what the install guide has people set: the cluster's name, and
        where Prometheus and Loki are. Ports are free ones, since other tests run beside this one."""
        api = urlsplit(self.lab.url)
        said = {**environment(self.documents, name)}
        ours = {
            "agent": {
                "LESTRADE_CLUSTER": "lab",
                "LESTRADE_LISTEN": self.agent_url.removeprefix("http://"),
                "LESTRADE_PROMETHEUS_URL": self.lab.prometheus_url,
                "LESTRADE_LOKI_URL": self.lab.loki_url,
                "LESTRADE_POLL_SECONDS": "0.2",
            },
            "sidecar": {
                "LESTRADE_SIDECAR_CLUSTER": "lab",
                "LESTRADE_SIDECAR_PEOPLE_LISTEN": self.people_url.removeprefix("http://"),
            },
        }[name]
        assert set(ours) - {"LESTRADE_POLL_SECONDS"} <= set(said), "the guide has people set what is not there"
        # Of an image, and of a kubelet.
        usual = {"PATH": "/usr/bin:/bin", "KUBERNETES_SERVICE_HOST": str(api.hostname), "KUBERNETES_SERVICE_PORT": str(api.port)}
        return {**usual, **said, **ours}

    def start(self, name: str) -> None:
        found = container(self.documents, name)
        log = self.folder / f"{name}.log"
        self.processes[name] = containers.start(found, self.pod, self.volumes, self.environment(name), log)
        url = {"agent": self.agent_url, "sidecar": self.people_url}[name]
        self.until(lambda: self._answers(name, url + found["readinessProbe"]["httpGet"]["path"]), f"{name} is ready", 60)

    def _answers(self, name: str, url: str) -> bool:
        assert self.processes[name].poll() is None, (self.folder / f"{name}.log").read_text()
        try:
            return httpx.get(url).status_code == 200
        except httpx.HTTPError:
            return False

    def until(self, condition: Any, what: str, seconds: float = 60) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := condition():
                return found
            time.sleep(0.1)
        logs = "".join(path.read_text()[-3000:] for path in self.folder.glob("*.log"))
        raise AssertionError(f"not within {seconds} s: {what}\n{logs}")

    def stop(self) -> dict[str, int]:
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        return {name: process.wait(20) for name, process in self.processes.items()}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    scenario = load(SCENARIO)
    with Laboratory.start(scenario, speed=60.0) as lab:
        applied = apply(lab, list(built("sqlite")))
        assert applied.returncode == 0, applied.stdout + applied.stderr
        lab.play()
        folder = tmp_path_factory.mktemp("installed")
        os.chmod(folder.parent, 0o755)  # the users of the containers pass through
        site = Installed(lab, folder)
        try:
            yield site
        finally:
            for process in site.processes.values():
                if process.poll() is None:
                    process.kill()
                    process.wait()


def apply(lab: Laboratory, documents: list[Document]) -> subprocess.CompletedProcess[str]:
    """By the administrator's kubectl, as the guide says; PersistentVolumeClaims and all."""
    program = kubectl()
    assert program is not None
    return subprocess.run(
        [program, "--kubeconfig", str(lab.kubeconfig()), "apply", "--server-side", "--validate=false", "-f", "-"],
        input=json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_incident_goes_from_alert_to_report_on_what_the_manifests_say(installed):
    installed.start("sidecar")
    installed.start("agent")
    ada = added(installed, "sidecar", "ada", "--role", "sre", "--role", "platform")
    eve = added(installed, "agent", "eve")
    agent = httpx.Client(base_url=installed.agent_url, headers={"Authorization": f"Bearer {eve}"}, timeout=20)

    for payload in installed.lab.alerts():
        url = f"{installed.agent_url}/webhooks/alertmanager"
        assert httpx.post(url, json=payload).status_code == 401
        answer = httpx.post(url, json=payload, headers={"Authorization": f"Bearer {WEBHOOK_TOKEN}"}, timeout=10)
        assert answer.status_code == 202, answer.text
    run = answer.json()["run"]
    people = httpx.Client(base_url=installed.people_url, headers={"Authorization": f"Bearer {ada}"}, timeout=20)
    [view] = installed.until(lambda: people.get("/approvals").json()["approvals"], "a plan waits for people")
    body = {"plan": view["plan"], "verdict": "approve", "revision": view["revision"], "reason": ""}
    assert people.post(f"/approvals/{view['plan']}", json=body).status_code == 200
    row = installed.until(lambda: finished(agent, run), "the run is finished", 90)

    assert row["outcome"] == "repaired", row
    assert installed.lab.healed()
    assert agent.get(f"/v1/runs/{run}/report").json()["outcome"] == "repaired"
    seen_in_a_browser(installed, eve, run)


def seen_in_a_browser(installed: Installed, token: str, run: str) -> None:
    """Whoever is not known logs in first, with a token that opens nothing at the sidecar."""
    said = {"Accept": "text/html", "Origin": installed.agent_url}
    with httpx.Client(base_url=installed.agent_url, headers=said, timeout=20) as browser:
        assert browser.get(f"/runs/{run}").headers["location"].startswith("/login?")
        assert browser.post("/login", data={"token": token}).status_code == 303
        assert "Repaired and verified" in browser.get(f"/runs/{run}").text
    assert httpx.get(f"{installed.people_url}/approvals", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_the_agent_can_read_no_kubernetes_token_and_write_nowhere_but_to_its_own(installed):
    mounts = container(installed.documents, "agent")["volumeMounts"]
    for process in ("agent", "sidecar"):
        status = Path(f"/proc/{installed.processes[process].pid}/status").read_text()
        assert "CapEff:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status
    seen = Path(f"/proc/{installed.processes['agent'].pid}/mountinfo").read_text().splitlines()
    writable = {line.split()[4] for line in seen if line.split()[5].startswith("rw")}

    assert not any("serviceaccount" in line for line in seen)
    own = {mount["mountPath"] for mount in mounts if not mount.get("readOnly")}
    on_disk = {place for place in writable if not place.startswith(("/proc", "/sys", "/dev"))}
    assert own <= on_disk
    assert Path(f"/proc/{installed.processes['agent'].pid}/root/run/lestrade").exists()


def test_both_end_in_order(installed):
    ended = installed.stop()

    assert ended["sidecar"] == 0
    assert ended["agent"] in (0, -signal.SIGTERM)  # the server hands the signal on when it is done


def finished(agent: httpx.Client, run: str) -> Any:
    row = agent.get(f"/v1/runs/{run}").json()
    return row if row.get("state") == "finished" else None


def added(installed: Installed, where: str, name: str, *roles: str) -> str:
    """`kubectl exec deploy/lestrade -c sidecar -- lestrade-sidecar people add ada --role sre`, and the same of the agent: in the
    container, as its user."""
    found = {**container(installed.documents, where), "args": ["people", "add", name, *roles]}
    log = installed.folder / f"{where}-people.txt"
    assert containers.start(found, installed.pod, installed.volumes, installed.environment(where), log).wait(30) == 0
    words = log.read_text().split()
    return max(words, key=len)

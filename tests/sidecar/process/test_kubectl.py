"""kubectl works against the read gateway as against an API server, and can change nothing through it."""

import subprocess
from pathlib import Path

import pytest
import trustme
import yaml

from tests.servers import program
from tests.sidecar.process.harness import AGENT_TOKEN, ROOT, running

pytestmark = pytest.mark.server("kubectl")


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory):
    binary = program("kubectl")
    folder = tmp_path_factory.mktemp("gateway")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    issued.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    environment = {
        "LESTRADE_SIDECAR_LISTEN": "127.0.0.1:0",
        "LESTRADE_SIDECAR_TLS_CERT_FILE": str(folder / "cert.pem"),
        "LESTRADE_SIDECAR_TLS_KEY_FILE": str(folder / "key.pem"),
    }
    with running(folder / "state", environment=environment) as sidecar:
        sidecar.lab.apply(list(yaml.safe_load_all((ROOT / "deploy" / "rbac" / "secret-keys.yaml").read_text())))
        sidecar.lab.apply([SECRET, SETTINGS])
        config = kubeconfig(folder, sidecar.start().agent_url)

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            command = [binary, "--kubeconfig", str(config), "--cache-dir", str(folder / "cache"), *arguments]
            return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

        yield run


CANARY = "canary-4f9a1c7e2b"
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "db", "namespace": "shop"},
    "stringData": {"password": CANARY},
}
SETTINGS = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "app", "namespace": "shop"},
    "data": {"db.password": CANARY, "mode": "fast"},
}


def kubeconfig(folder: Path, url: str) -> Path:
    path = folder / "kubeconfig"
    cluster = {"server": f"{url}/v1/read/lab", "certificate-authority": str(folder / "ca.pem")}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "gateway",
        "clusters": [{"name": "gateway", "cluster": cluster}],
        "users": [{"name": "agent", "user": {"token": AGENT_TOKEN}}],
        "contexts": [{"name": "gateway", "context": {"cluster": "gateway", "user": "agent"}}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("get", "pods", "-n", "shop"), "Running"),
        (("get", "deploy", "web", "-n", "shop", "-o", "jsonpath={.spec.replicas}"), "2"),
        (("describe", "deploy", "web", "-n", "shop"), "StrategyType"),
        (("logs", "-n", "shop", "deploy/web"), "starting"),
        (("get", "deploy", "web", "-n", "shop", "-o", "yaml"), "replicas: 2"),
        (("get", "pods", "-n", "shop", "-o", "json", "--chunk-size=1"), '"kind": "List"'),
        (("describe", "pods", "-n", "shop"), "Containers:"),
        (("describe", "node", "worker-1"), "Allocatable"),
        (("get", "events", "-n", "shop"), "REASON"),
        (("get", "secret", "db", "-n", "shop", "-o", "yaml"), 'password: ""'),
        (("describe", "secret", "db", "-n", "shop"), "password:"),
        (("get", "configmap", "app", "-n", "shop", "-o", "yaml"), "mode: fast"),
        (("logs", "-f", "-n", "shop", "deploy/web", "--request-timeout=2s"), "starting"),
        (("get", "configmaps", "-n", "shop", "-w", "-o", "yaml", "--request-timeout=1s"), "mode: fast"),
        (("api-resources",), "deployments"),
        (("rollout", "history", "deploy/web", "-n", "shop"), "REVISION"),
        (("get", "pods", "-A", "-w", "--request-timeout=1s"), "web-"),
    ],
)
def test_kubectl_reads(kubectl, arguments, says):
    came = kubectl(*arguments)
    assert came.returncode == 0 or "--request-timeout" in str(arguments), came.stderr
    assert says in came.stdout
    assert CANARY not in came.stdout + came.stderr
    assert "Y2FuYXJ5" not in came.stdout + came.stderr  # in base64


@pytest.mark.parametrize(
    "arguments",
    [
        ("scale", "deploy/web", "-n", "shop", "--replicas=9"),
        ("delete", "pod", "--all", "-n", "shop"),
        ("create", "configmap", "x", "-n", "shop"),
        ("exec", "-n", "shop", "deploy/web", "--", "true"),
        ("attach", "-n", "shop", "deploy/web"),
        ("port-forward", "-n", "shop", "deploy/web", ":80"),
        ("cp", "shop/web:/etc/passwd", "/tmp/none"),
        ("get", "--raw", "/api/v1/namespaces/shop/services/web/proxy/"),
        ("create", "token", "lestrade-sidecar", "-n", "lestrade"),
    ],
)
def test_kubectl_changes_nothing_and_sees_no_secret(kubectl, arguments):
    assert kubectl(*arguments).returncode != 0


def test_kubectl_is_told_why_in_words_that_it_shows(kubectl):
    refused = kubectl("get", "--raw", "/api/v1/namespaces/shop/services/web/proxy/")
    assert "the subresource proxy is not read through here" in refused.stderr
    assert "nobody is impersonated through here" in kubectl("get", "pods", "-n", "shop", "--as=system:admin").stderr

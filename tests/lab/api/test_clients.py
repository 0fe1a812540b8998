"""The official client and a real kubectl use the server without noticing."""

import os
import subprocess

import pytest
import yaml

from tests.lab.api.conftest import deployment, kubeconfig
from tests.servers import program


@pytest.fixture
def kubectl(api, admin, tmp_path):
    binary = program("kubectl")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": str(kubeconfig(api, tmp_path))}

    def run(*arguments, text="", code=0):
        done = subprocess.run(
            [binary, *arguments], env=environment, input=text, capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    return run


def manifest(**spec):
    return yaml.safe_dump({"apiVersion": "apps/v1", "kind": "Deployment", **deployment(**spec)})


def test_kubectl_applies_shows_changes_and_deletes(kubectl):
    assert "created" in kubectl("apply", "-f", "-", text=manifest(replicas=2))
    assert "unchanged" in kubectl("apply", "-f", "-", text=manifest(replicas=2))
    assert "0/2" in kubectl("get", "deploy", "web")
    assert "-  replicas: 2" in kubectl("diff", "-f", "-", text=manifest(replicas=3), code=1)
    assert "configured" in kubectl("apply", "-f", "-", text=manifest(replicas=3))
    assert "image updated" in kubectl("set", "image", "deploy/web", "app=shop/web:2")
    assert "scaled" in kubectl("scale", "deploy/web", "--replicas=1")
    assert "restarted" in kubectl("rollout", "restart", "deploy/web")
    assert "shop/web:2" in kubectl("describe", "deploy", "web")
    assert "deleted" in kubectl("delete", "deploy", "web")
    assert "NotFound" in subprocess_error(kubectl, "get", "deploy", "web")


def test_kubectl_applies_on_the_server_side_and_sees_conflicts(kubectl):
    kubectl("apply", "--server-side", "-f", "-", text=manifest(replicas=2))
    kubectl("scale", "deploy/web", "--replicas=5")

    kubectl("apply", "--server-side", "-f", "-", text=manifest(replicas=2), code=1)
    assert "serverside-applied" in kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=manifest(replicas=2))


def test_kubectl_finds_an_unknown_field(kubectl):
    with pytest.raises(AssertionError, match="unknown field"):
        kubectl("apply", "-f", "-", text=manifest(replica=2))


def test_kubectl_reads_logs_and_lists_resources(kubectl, admin, said, clock):
    from lab.api.cluster import LogLine

    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "app", "image": "x:1"}], "nodeName": "n"}}
    admin.post("/api/v1/namespaces/shop/pods", pod)
    said.lines_of[("app", False)] = [LogLine(clock.now().timestamp(), "hello")]

    assert kubectl("logs", "p") == "hello\n"
    assert "deployments" in kubectl("api-resources")
    assert "Pending" in kubectl("get", "pods", "-o", "wide")
    assert "pod/p" in kubectl("get", "all")


def test_kubectl_asks_for_rights_and_tokens(kubectl, api):
    assert kubectl("auth", "can-i", "create", "pods") == "yes\n"
    assert kubectl("create", "token", "default").count(".") == 2
    kubectl("create", "serviceaccount", "worker")
    kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods")
    kubectl("create", "rolebinding", "reader", "--role=reader", "--serviceaccount=shop:worker")
    assert kubectl("auth", "can-i", "list", "pods", "--as=system:serviceaccount:shop:worker") == "yes\n"
    assert kubectl("auth", "can-i", "delete", "pods", "--as=system:serviceaccount:shop:worker", code=1) == "no\n"
    kubectl("create", "configmap", "c", "--from-literal=a=b")
    kubectl("create", "job", "j", "--image=x:1")


def subprocess_error(kubectl, *arguments):
    try:
        kubectl(*arguments)
    except AssertionError as error:
        return str(error)
    return ""


def test_the_official_client_reads_and_writes(api, admin, tmp_path):
    kubernetes = pytest.importorskip("kubernetes")
    client = kubernetes.config.new_client_from_config(str(kubeconfig(api, tmp_path)))
    apps, core = kubernetes.client.AppsV1Api(client), kubernetes.client.CoreV1Api(client)

    apps.create_namespaced_deployment("shop", deployment(replicas=2))
    apps.patch_namespaced_deployment_scale("web", "shop", {"spec": {"replicas": 3}})

    assert apps.read_namespaced_deployment("web", "shop").spec.replicas == 3
    assert [d.metadata.name for d in apps.list_namespaced_deployment("shop", label_selector="app!=x").items] == ["web"]
    with pytest.raises(kubernetes.client.ApiException) as refused:
        core.read_namespaced_pod("nonesuch", "shop")
    assert refused.value.status == 404

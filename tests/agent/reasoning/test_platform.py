"""What of the platform is read besides: device plugins when pods wait for devices, and nothing otherwise."""

import pytest

from agent.reasoning.offline import OfflineReasoner
from agent.reasoning.platform import platform_namespaces
from tests.agent.builders import app, asked, custom, node, obj, observed, told, topology
from tests.agent.checks.cases_controlplane import saying, unplaced_pod
from tests.agent.checks.cases_gateways import route, way_in
from tests.agent.checks.cases_network import NO_NAME, calling
from tests.agent.checks.cases_webhooks import failing, webhook
from tests.agent.machines import asking, gpu_node

SPACES = ("shop", "gpu-operator", "kube-system", "monitoring", "cilium")


def test_namespaces_of_device_plugins_when_pods_wait_for_devices():
    seen = topology(gpu_node(allocatable="0"), *asking())
    assert platform_namespaces(seen, SPACES) == {"gpu-operator", "kube-system"}


def test_nothing_when_nobody_waits():
    assert platform_namespaces(topology(gpu_node(), *app("web")), SPACES) == set()


def test_the_networks_agents_when_a_node_says_that_they_are_not_ready():
    seen = topology(node(taints=[{"key": "node.cilium.io/agent-not-ready", "effect": "NoExecute"}]), *app("web"))
    assert platform_namespaces(seen, SPACES) == {"cilium", "kube-system"}


def test_what_was_read_already_is_not_wanted_again():
    plugin = obj("ServiceAccount", "default", namespace="gpu-operator")
    assert platform_namespaces(topology(gpu_node(), *asking(), plugin), ("gpu-operator",)) == set()


def test_the_answer_asks_for_them():
    spaces = [obj("Namespace", name, namespace="") for name in SPACES]
    found = OfflineReasoner().diagnose(
        asked("why is infer pending in shop?"), observed(*spaces, gpu_node(allocatable="0"), *asking())
    )
    assert "ns:gpu-operator" in found.wants


def test_a_source_of_another_namespace_is_about_what_is_made_from_it():
    group = "source.toolkit.fluxcd.io/v1"
    source = custom("GitRepository", "fleet", told("Ready", "False", "GitOperationFailed", "authentication required"), api=group,
                    namespace="flux-system", spec={"url": "ssh://git@git.example.com/fleet"})  # fmt: skip
    made = {"inventory": {"entries": [{"id": "shop_web_apps_Deployment"}]}}
    waits = custom(
        "Kustomization",
        "apps",
        told("Ready", "False", "ArtifactFailed", "no artifact"),
        api="kustomize.toolkit.fluxcd.io/v1",
        namespace="flux-system",
        spec={"sourceRef": {"kind": "GitRepository", "name": "fleet"}},
        status=made,
    )
    found = OfflineReasoner().diagnose(asked("what is wrong in namespace shop?"), observed(*app("web"), source, waits))
    assert [one.finding.cause for one in found.causes] == ["flux-source-failed"]


def asked_of(question, *objects):
    return OfflineReasoner().diagnose(asked(question), observed(*app("web"), *objects))


def test_a_custom_resource_is_named_in_a_question_by_its_kind_or_by_a_name_of_its_own():
    said = told("Ready", "False", "SecretMismatch", "private key does not match")
    certificate = custom("Certificate", "front", said, api="cert-manager.io/v1", spec={"secretName": "front-tls"})
    assert asked_of("why is certificate front not ready in shop?", certificate).causes[0].finding.cause == "certificate-not-ready"
    widget = custom("Widget", "left-arm", told("Ready", "False", "Broken", "gear"), api="example.com/v1")
    found = asked_of("what is wrong with left-arm?", widget, certificate)
    assert [str(one.finding.subject) for one in found.causes] == ["Widget shop/left-arm"]


def test_an_ordinary_word_that_is_the_name_of_some_custom_resource_does_not_narrow_a_question():
    project = obj("AppProject", "team", api="argoproj.io/v1alpha1", spec={"sourceRepos": ["*"]})
    widget = custom("Widget", "left", told("Ready", "False", "Broken", "gear"), api="example.com/v1")
    assert asked_of("what troubles the team in namespace shop?", project, widget).outcome == "fault"


OTHERS = ("shop", "kube-system", "hooks", "infra", "default")


@pytest.mark.parametrize(
    ("objects", "logs", "wanted"),
    [
        (app("web"), [], set()),
        (*calling(NO_NAME), {"kube-system"}),
        (*failing("connection refused", webhook(namespace="hooks")), {"hooks"}),
        ([*app("web"), webhook(namespace="hooks")], [], set()),  # nobody was refused
        (unplaced_pod(), [], {"kube-system"}),
        (*saying('ERROR Get "https://kubernetes.default.svc:443/x": dial tcp: i/o timeout', "web"), {"default", "kube-system"}),
        (way_in(route(parent={"name": "edge", "namespace": "infra"}))[0], [], {"infra"}),
    ],
)
def test_where_those_live_that_were_asked_in_vain_is_read_too(objects, logs, wanted):
    assert platform_namespaces(topology(*objects, logs=logs), OTHERS) == wanted


def test_what_is_held_on_purpose_is_stated_and_no_fault():
    failed = told("Ready", "False", "BuildFailed", "no")
    paused = custom("Kustomization", "apps", failed, api="kustomize.toolkit.fluxcd.io/v1", spec={"suspend": True})
    found = asked_of("what is wrong in namespace shop?", paused)
    assert found.outcome == "healthy"
    assert "Held on purpose, which is no fault: Kustomization shop/apps (spec.suspend: true)." in found.statement


def test_of_many_that_are_held_some_are_named_and_the_rest_counted():
    many = [custom("Widget", f"w{n}", api="example.com/v1", spec={"paused": True}) for n in range(7)]
    assert "and 4 more" in asked_of("what is wrong in namespace shop?", *many).statement

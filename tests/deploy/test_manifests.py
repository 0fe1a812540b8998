"""What the built manifests promise: who has which token, who may write where, who may reach whom, and rights that are needed."""

import itertools
import re
from urllib.parse import urlsplit

import pytest
import yaml
from starlette.routing import Route

from agent.app import create_app
from agent.settings import Settings as AgentSettings
from agent.stages.receive import receive
from agent.toolsets.kinds import CLUSTER_KINDS, EXTENSION_KINDS, NAMESPACED_KINDS
from sidecar.settings import VARIABLES
from tests.deploy.built import COMPONENTS, DEPLOY, OVERLAYS, ROOT, built, container, environment, kustomized, one, pod_of
from tests.manifests import combinations

TOKEN_PLACE = "/var/run/secrets/kubernetes.io/serviceaccount"
WHOLE = [(overlay, chosen) for overlay in OVERLAYS for chosen in ((), COMPONENTS)]


@pytest.fixture(params=WHOLE, ids=lambda one: f"{one[0]}-{'all' if one[1] else 'plain'}")
def documents(request):
    return built(*request.param)


def mounts(documents, name):
    return {mount["mountPath"]: mount for mount in container(documents, name)["volumeMounts"]}


def secret_volumes(documents):
    return {volume["name"]: volume["secret"]["secretName"] for volume in pod_of(documents)["volumes"] if "secret" in volume}


def test_only_the_sidecar_s_container_has_a_kubernetes_token(documents):
    pod = pod_of(documents)
    with_token = [each["name"] for each in pod["containers"] if TOKEN_PLACE in mounts(documents, each["name"])]

    assert pod["automountServiceAccountToken"] is False
    assert with_token == ["sidecar"]
    projected = [volume["name"] for volume in pod["volumes"] if "projected" in volume]
    assert [mount["name"] for mount in mounts(documents, "sidecar").values() if mount["mountPath"] == TOKEN_PLACE] == projected
    assert not any("initContainers" in key or "ephemeralContainers" in key for key in pod)


def test_secrets_of_approvals_and_of_the_record_are_the_sidecar_s_alone(documents):
    of_agent = {mount["name"] for mount in mounts(documents, "agent").values()}

    # Its Slack app, its people and its client at the identity provider approve nothing.
    of_its_own = {"lestrade-agent-slack", "lestrade-agent-people", "lestrade-agent-oidc"}
    assert {secret_volumes(documents)[name] for name in of_agent & set(secret_volumes(documents))} - of_its_own == {
        "lestrade-agent-token",
        "lestrade-webhook-token",
        "lestrade-agent-session",
    }
    assert mounts(documents, "agent")["/run/lestrade"]["readOnly"] is True
    assert not {mount["name"] for mount in mounts(documents, "sidecar").values()} & {"agent-state", "agent-tmp"}


def test_every_container_is_as_the_restricted_standard_wants_it(documents):
    pod = pod_of(documents)
    # The worker is the agent once more: it may what that may, and its sidecar knows both by the same user.
    users = [each["securityContext"]["runAsUser"] for each in pod["containers"] if each["name"] != "worker"]

    for each in pod["containers"]:
        context = each["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert each["resources"]["limits"]["memory"]
        assert ":latest" not in each["image"]
        assert re.search(r"[:@]", each["image"])
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"} & set(pod)
    assert len(set(users)) == len(users)
    allowed = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
    assert all(set(volume) - {"name"} <= allowed for volume in pod["volumes"])
    for name in ("lestrade", "lestrade-leases"):
        [namespace] = [each for each in documents if each["kind"] == "Namespace" and each["metadata"]["name"] == name]
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_everything_starts_with_closed_doors(documents):
    policies = [each for each in documents if each["kind"] == "NetworkPolicy"]
    shut = [
        each["metadata"]["namespace"] for each in policies if not each["spec"].get("ingress") and not each["spec"].get("egress")
    ]
    own = one(documents, "NetworkPolicy", "lestrade-database") if len(policies) > 3 else policies[0]

    assert sorted(shut) == ["lestrade", "lestrade-leases"]
    assert own["spec"]["policyTypes"]
    for rule in itertools.chain.from_iterable(each["spec"].get("ingress") or [] for each in policies):
        assert rule["from"], "from anywhere is nobody's wish"
    [main] = [each for each in policies if each["metadata"]["name"] == "lestrade"]
    blocks = [to["ipBlock"] for rule in main["spec"]["egress"] for to in rule["to"] if "ipBlock" in to]
    assert all(block["except"] for block in blocks), "the clouds' metadata is no place to go"


def test_what_is_set_exists_and_points_at_what_is_mounted(documents):
    known = {"agent": {f"LESTRADE_{name.upper()}" for name in AgentSettings.model_fields}, "sidecar": set(VARIABLES.values())}
    for name, variables in known.items():
        values = environment(documents, name)
        assert set(values) - variables == {"HOME"}
        files = [value for key, value in values.items() if key.endswith("_FILE")]
        assert all(any(value.startswith(f"{place}/") for place in mounts(documents, name)) for value in files), files
    assert environment(documents, "agent")["LESTRADE_CLUSTER"] == environment(documents, "sidecar")["LESTRADE_SIDECAR_CLUSTER"]
    socket = environment(documents, "sidecar")["LESTRADE_SIDECAR_SOCKET"]
    assert environment(documents, "agent")["LESTRADE_SIDECAR_URL"] == f"unix://{socket}"


def test_no_manifest_holds_a_secret(documents):
    assert not [each for each in documents if each["kind"] == "Secret"]


def test_probes_ports_and_services_fit(documents):
    ports = {port["name"]: port["containerPort"] for each in pod_of(documents)["containers"] for port in each.get("ports", ())}

    probed = {"agent": "http", "sidecar": "people"} | ({"worker": "worker"} if "worker" in ports else {})
    assert ports == {"http": 8180, "people": 8182} | ({"worker": 8184} if "worker" in probed else {})
    services = {each["metadata"]["name"]: each["spec"] for each in documents if each["kind"] == "Service"}
    assert {name: spec["ports"][0]["targetPort"] for name, spec in services.items()} == {
        "lestrade": "http",
        "lestrade-people": "people",
    }
    for name, port in probed.items():
        found = container(documents, name)
        assert {found[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")} == {port}


def test_the_agent_s_pages_know_people_and_keep_their_sessions(documents):
    values = environment(documents, "agent")

    assert values["LESTRADE_PEOPLE_FILE"]
    assert values["LESTRADE_SESSION_KEY_FILE"]
    if "LESTRADE_PUBLIC_URL" in values:  # one host's cookies go to both
        hosts = [urlsplit(values[name]).hostname for name in ("LESTRADE_PUBLIC_URL", "LESTRADE_APPROVALS_URL")]
        assert hosts == ["lestrade.example.com", "approvals.example.com"]
        assert values["LESTRADE_PUBLIC_URL"] == environment(documents, "sidecar")["LESTRADE_SIDECAR_CONSOLE_URL"]
        assert values["LESTRADE_APPROVALS_URL"] == environment(documents, "sidecar")["LESTRADE_SIDECAR_PAGE_URL"]


NOT_PUBLISHED = {"/metrics", "/healthz", "/readyz", "/webhooks/alertmanager", "/slack/events"}


def _leads(path, prefix, kind):
    return path == prefix or (kind != "Exact" and path.startswith(prefix.rstrip("/") + "/"))


def test_every_page_and_nothing_else_is_published_by_ingress_and_by_gateway():
    [ingress] = [each for each in built("sqlite", ("agent-page",)) if each["kind"] == "Ingress"]
    routed = built("sqlite", ("agent-page", "approvals-page", "gateway-routes"))
    [route] = [each for each in routed if each["kind"] == "HTTPRoute" and each["metadata"]["name"] == "lestrade"]
    ways = {
        "ingress": [(each["path"], each["pathType"]) for each in ingress["spec"]["rules"][0]["http"]["paths"]],
        "gateway": [(each["path"]["value"], each["path"]["type"]) for rule in route["spec"]["rules"] for each in rule["matches"]],
    }
    paths = {each.path for each in create_app(lambda: None).routes if isinstance(each, Route)} - {"/openapi.json"}

    assert not [each for each in routed if each["kind"] == "Ingress"]
    assert paths > NOT_PUBLISHED
    for name, published in ways.items():
        led = {path for path in paths if any(_leads(path, *way) for way in published)}
        assert paths - led == NOT_PUBLISHED, name


def test_sqlite_is_one_replica_that_ends_before_the_next_begins():
    spec = one(built("sqlite"), "Deployment", "lestrade")["spec"]

    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    claims = {volume["name"] for volume in pod_of(built("sqlite"))["volumes"] if "persistentVolumeClaim" in volume}
    assert claims == {"agent-state", "sidecar-state"}


def test_replicas_share_databases_that_are_apart_and_the_keys_of_the_record():
    documents = built("scaled")
    spec = one(documents, "Deployment", "lestrade")["spec"]
    sources = {
        name: {
            each["name"]: each["valueFrom"]["secretKeyRef"]["name"]
            for each in container(documents, name)["env"]
            if "valueFrom" in each
        }
        for name in ("agent", "worker", "sidecar")
    }

    assert spec["replicas"] > 1
    assert sources == {
        "agent": {"LESTRADE_DATABASE_URL": "lestrade-agent-database"},
        "worker": {"LESTRADE_DATABASE_URL": "lestrade-agent-database"},
        "sidecar": {"LESTRADE_SIDECAR_DATABASE_URL": "lestrade-sidecar-database"},
    }
    assert "LESTRADE_DATABASE_URL" not in environment(documents, "agent")
    assert mounts(documents, "sidecar")["/var/lib/lestrade-sidecar/session.key"]["readOnly"] is True


def test_where_there_are_replicas_no_process_both_takes_in_and_works():
    documents = built("scaled")
    agent, worker = environment(documents, "agent"), environment(documents, "worker")
    token_and_socket = {"/run/lestrade", "/etc/lestrade/agent-token", "/tmp"}

    assert (agent["LESTRADE_WORKERS"], "LESTRADE_WORKERS" in worker) == ("0", False)
    assert worker["LESTRADE_WORKER_LISTEN"] == "0.0.0.0:8184"
    assert set(worker) - {"HOME"} <= {f"LESTRADE_{name.upper()}" for name in AgentSettings.model_fields}
    assert container(documents, "worker")["image"] == container(documents, "agent")["image"]
    assert set(mounts(documents, "worker")) == token_and_socket
    assert mounts(documents, "worker")["/run/lestrade"]["readOnly"] is True


def test_every_component_builds_alone():
    assert all(built(overlay, components) for overlay, components in combinations())
    assert all(built(OVERLAYS[0], (component,)) for component in COMPONENTS)


def test_the_rights_are_those_that_their_own_tests_measured(documents):
    """tests/sidecar/parts/test_ceiling.py holds deploy/rbac to what leases need: kustomize must not have changed it."""
    shipped = [each for each in yaml.safe_load_all((DEPLOY / "rbac" / "sidecar.yaml").read_text()) if "rules" in each]
    found = {(each["kind"], each["metadata"]["name"]): each["rules"] for each in documents if "rules" in each}
    bound = [subject for each in documents if each["kind"].endswith("RoleBinding") for subject in each["subjects"]]

    assert found == {(each["kind"], each["metadata"]["name"]): each["rules"] for each in shipped}
    assert {(subject["namespace"], subject["name"]) for subject in bound} == {("lestrade", "lestrade-sidecar")}
    [minter] = [each for each in documents if each["kind"] == "Role" and each["metadata"]["name"] == "lestrade-minter"]
    assert minter["metadata"]["namespace"] == "lestrade-leases"


GUIDE = (ROOT / "docs" / "install.md").read_text()


def test_what_the_guide_has_people_write_builds_and_says_the_cluster_s_name_to_both():
    [theirs] = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    text = theirs.replace("lestrade/deploy/", "../../deploy/").replace("sha256:...", "sha256:" + "0" * 64)
    documents = kustomized(yaml.safe_load(text))

    assert environment(documents, "agent")["LESTRADE_CLUSTER"] == "eu-1"
    assert environment(documents, "sidecar")["LESTRADE_SIDECAR_CLUSTER"] == "eu-1"
    assert all("@sha256:" in each["image"] for each in pod_of(documents)["containers"])


def test_the_secrets_that_the_manifests_want_are_made_in_the_guide_or_in_the_component_s_own_words(documents):
    words = GUIDE + "".join((DEPLOY / "components" / name / "kustomization.yaml").read_text() for name in COMPONENTS)
    wanted = set(secret_volumes(documents).values())

    assert {name for name in wanted if f"create secret generic {name}" not in words} == set()


def test_the_alert_of_the_guide_is_one():
    [sent] = re.findall(r"-d '(\{.*?\]\})'", GUIDE, re.DOTALL)

    [alert] = receive(sent.encode()).alerts
    assert (alert.name, alert.resolved) == ("KubePodCrashLooping", False)


@pytest.mark.parametrize("file", ["sidecar.yaml", "reader.yaml"])
def test_whoever_reads_for_the_diagnosis_may_read_every_kind_that_it_looks_at_but_secrets(file):
    documents = yaml.safe_load_all((DEPLOY / "rbac" / file).read_text())
    reader = next(one for one in documents if one["kind"] == "ClusterRole" and one["metadata"]["name"] == "lestrade-reader")
    held = {pair for rule in reader["rules"] for pair in itertools.product(rule["apiGroups"], rule["resources"])}
    looked_at = {
        (one.api_version.rpartition("/")[0], one.plural) for one in (*NAMESPACED_KINDS, *CLUSTER_KINDS, *EXTENSION_KINDS)
    }
    assert looked_at - held == {("", "secrets")}

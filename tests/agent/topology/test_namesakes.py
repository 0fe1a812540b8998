"""Kinds of one name in two API groups are two things: as objects, as owners, in events, in GitOps inventories and in plans."""

from agent.checks import run
from agent.domain.objects import Ref
from agent.reasoning.offline import OfflineReasoner
from agent.runbooks.remedies import object_ref
from agent.topology.fields import controller_of
from agent.topology.kinds import kind_in
from tests.agent.builders import NS, active, app, asked, custom, event, obj, observed, told, topology

POSTGRES, MACHINES = "postgresql.cnpg.io/v1", "cluster.x-k8s.io/v1beta1"


def broken(api, message="primary is gone"):
    return custom("Cluster", "main", told("Ready", "False", "Failed", message), api=api)


def test_a_kind_with_a_home_is_called_by_its_group_elsewhere():
    assert kind_in("Certificate", "cert-manager.io/v1") == "Certificate"
    assert kind_in("Certificate", "networking.internal.knative.dev/v1alpha1") == "Certificate.networking.internal.knative.dev"
    assert kind_in("Gateway", "networking.istio.io/v1") == "Gateway.networking.istio.io"
    assert kind_in("Ingress", "extensions/v1beta1") == "Ingress"
    assert kind_in("Event", "events.k8s.io/v1") == "Event"
    assert kind_in("Widget", "example.com/v1") == "Widget"


def test_two_groups_with_one_kind_and_one_name_are_two_objects():
    well = custom("Cluster", "main", told("Ready", "True"), api=MACHINES)
    for objects in ([well, broken(POSTGRES)], [broken(POSTGRES), well]):
        graph = topology(*objects)

        assert graph.of_kind("Cluster") == []
        assert Ref("Cluster.postgresql.cnpg.io", NS, "main") in graph.objects
        assert Ref("Cluster.cluster.x-k8s.io", NS, "main") in graph.objects
        assert [str(one.subject) for one in run(graph)] == [f"Cluster.postgresql.cnpg.io {NS}/main"]


def test_the_same_kind_in_one_group_keeps_its_plain_name():
    graph = topology(broken(POSTGRES))
    assert Ref("Cluster", NS, "main") in graph.objects
    assert active(run(graph)) == ["custom-resource-not-ready"]


def test_events_are_about_the_one_whose_group_they_name():
    one = broken(POSTGRES)
    said = event(one, "Failed", "no primary")
    said["involvedObject"]["apiVersion"] = POSTGRES

    graph = topology(one, custom("Cluster", "main", api=MACHINES), said)

    assert [it.message for it in graph.events_about(Ref("Cluster.postgresql.cnpg.io", NS, "main"))] == ["no primary"]
    assert graph.events_about(Ref("Cluster.cluster.x-k8s.io", NS, "main")) == []


def test_owners_and_what_git_made_are_those_of_the_group_that_is_named():
    one, other = custom("Cluster", "main", api=POSTGRES), custom("Cluster", "main", api=MACHINES)
    owned = obj("Secret", "main-ca")
    owned["metadata"]["ownerReferences"] = [{"apiVersion": POSTGRES, "kind": "Cluster", "name": "main"}]
    made = [{"group": "cluster.x-k8s.io", "kind": "Cluster", "namespace": NS, "name": "main"}]
    application = custom("Application", "fleet", api="argoproj.io/v1alpha1", status={"resources": made})

    graph = topology(one, other, owned, application)

    database = graph.edges[Ref("Cluster.postgresql.cnpg.io", NS, "main")]
    assert [str(edge.target) for edge in database] == [f"Secret {NS}/main-ca"]
    assert Ref("Cluster.cluster.x-k8s.io", NS, "main") in {edge.target for edge in graph.edges[Ref("Application", NS, "fleet")]}


def test_a_pod_of_a_foreign_service_is_not_that_of_kubernetes():
    revision = obj("Revision", "web-1", api="serving.knative.dev/v1")
    revision["metadata"]["ownerReferences"] = [
        {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "web", "controller": True}
    ]
    assert str(controller_of(revision)) == f"Service.serving.knative.dev {NS}/web"


def test_a_plan_names_the_kind_as_the_api_has_it():
    target = object_ref(topology(broken(POSTGRES), broken(MACHINES)), Ref("Cluster.postgresql.cnpg.io", NS, "main"))
    assert target is not None
    assert (target.api_version, target.kind) == (POSTGRES, "Cluster")


def test_the_answer_says_which_of_the_two_is_meant():
    seen = observed(*app("web"), broken(POSTGRES), custom("Cluster", "main", told("Ready", "True"), api=MACHINES))
    answer = OfflineReasoner().diagnose(asked("What is wrong in namespace shop?"), seen)
    assert answer.causes[0].finding.subject == Ref("Cluster.postgresql.cnpg.io", NS, "main")
    assert "postgresql.cnpg.io" in answer.statement

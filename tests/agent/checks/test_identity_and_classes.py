"""Classes, identities, and a node whose traffic fails: what is named, and when nothing is."""

from agent.checks import run
from tests.agent.builders import active, app, lines, log, obj, topology
from tests.agent.checks.cases import refused
from tests.agent.checks.cases_identity import on_two_nodes


def found(objects, logs=()):
    seen = run(topology(*objects, logs=logs))
    return {one.cause: one for one in seen if one.state == "active" and not one.symptom_only}


def test_a_class_that_exists_by_now():
    objects, _ = refused("no PriorityClass with name urgent was found", obj("PriorityClass", "urgent", namespace=""))
    assert "priority-class-missing" not in found(objects)


def test_a_claim_without_a_class_and_a_default_or_none_on_purpose():
    default = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    claim = obj("PersistentVolumeClaim", "data", spec={}, status={"phase": "Pending"})
    assert found([claim, obj("StorageClass", "fast", namespace="", metadata=default)]) == {}
    none = obj("PersistentVolumeClaim", "data", spec={"storageClassName": ""}, status={"phase": "Pending"})
    assert found([none, obj("StorageClass", "fast", namespace="")]) == {}


ENTRA = "ERROR AADSTS70021: No matching federated identity record found"
AWS = "ERROR api error AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity"


def test_what_a_federated_workload_lacks_here():
    objects = app("web", labels={"app": "web"})
    assert (
        "lack the label azure.workload.identity/use"
        in found(objects, [log(objects[2], lines(ENTRA))])["workload-identity-refused"].statement
    )
    labelled = app("web", labels={"app": "web", "azure.workload.identity/use": "true"})
    assert "lacks the annotation" in found(labelled, [log(labelled[2], lines(ENTRA))])["workload-identity-refused"].statement
    assert "lack" not in found(objects, [log(objects[2], lines(AWS))])["workload-identity-refused"].statement


def test_a_pod_that_mounts_no_token():
    objects = app("web", pod={"automountServiceAccountToken": False})
    said = lines("ERROR the server has asked for the client to provide credentials")
    assert "mount no token" in found(objects, [log(objects[2], said)])["service-account-token-rejected"].statement


def test_one_workload_alone_or_both_nodes_accuse_no_node():
    assert "node-traffic-failing" not in found(*on_two_nodes("web"))
    both = on_two_nodes("web", "api")
    other = on_two_nodes("web", "api", failing="node-2")
    assert "node-traffic-failing" not in found(both[0], [*both[1], *other[1]])
    assert active(run(topology(*both[0]))) == []

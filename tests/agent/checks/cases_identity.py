"""Incidents of classes and identities that are not there, and of one node whose traffic fails."""

from tests.agent.builders import app, event, lines, log, node, obj
from tests.agent.checks.cases import World, case, refused


@case("priority-class-missing", "Deployment/web")
def _() -> World:
    return refused("no PriorityClass with name urgent was found", obj("PriorityClass", "urgently", namespace=""))


@case("runtime-class-missing", "Deployment/web")
def _() -> World:
    return refused('pod rejected: RuntimeClass "nvidia" not found')


@case("default-storage-class-missing", "PersistentVolumeClaim/data")
def _() -> World:
    claim = obj("PersistentVolumeClaim", "data", spec={}, status={"phase": "Pending"})
    said = "no persistent volumes available for this claim and no storage class is set"
    return [claim, obj("StorageClass", "fast", namespace=""), event(claim, "FailedBinding", said, kind="Normal")], []


@case("workload-identity-refused", "Deployment/web")
def _() -> World:
    objects = app("web")
    said = "ERROR AADSTS700213: No matching federated identity record found for presented assertion subject"
    return objects, [log(objects[2], lines(*[said] * 3))]


@case("service-account-token-rejected", "Deployment/web")
def _() -> World:
    objects = app("web")
    said = "ERROR failed to list pods: the server has asked for the client to provide credentials (get pods)"
    return objects, [log(objects[2], lines(*[said] * 3))]


def on_two_nodes(*names: str, failing: str = "node-1") -> World:
    """Workloads with one pod on each node that all call `db`; the log of those on `failing` says that they cannot."""
    objects, logs = [*app("db"), node("node-1"), node("node-2")], []
    for name in names:
        mine = app(name)
        for number, one in enumerate(one for one in mine if one["kind"] == "Pod"):
            one["spec"]["nodeName"] = f"node-{number + 1}"
            said = "ERROR dial tcp db:80: i/o timeout" if one["spec"]["nodeName"] == failing else "INFO request served"
            logs.append(log(one, lines(*[said] * 5)))
        objects += mine
    return objects, logs


@case("node-traffic-failing", "Node/node-1")
def _() -> World:
    return on_two_nodes("web", "api")

"""Incidents of Secrets that come from elsewhere."""

from typing import Any

from tests.agent.builders import container, custom, deployment, event, pod, replica_set, told, waiting
from tests.agent.checks.cases import World, case

Object = dict[str, Any]
ESO = "external-secrets.io/v1"


def external(*conditions: Object, store: str = "vault") -> Object:
    spec = {"secretStoreRef": {"name": store, "kind": "SecretStore"}, "target": {"name": "login"}}
    return custom("ExternalSecret", "login", *conditions, api=ESO, spec=spec)


def store(*conditions: Object) -> Object:
    return custom("SecretStore", "vault", *(conditions or (told("Ready", "True"),)), api=ESO)


def needing(name: str = "login") -> list[Object]:
    """A workload whose pod waits for the Secret."""
    owner = deployment("web", replicas=1, ready=0, containers=[container(envFrom=[{"secretRef": {"name": name}}])])
    set_ = replica_set(owner, ready=0)
    status = waiting("CreateContainerConfigError", f'secret "{name}" not found')
    return [owner, set_, pod(set_, ready=False, statuses=[status], phase="Pending")]


FAILED = told("Ready", "False", "SecretSyncedError", "could not get secret data from provider")


@case("secret-not-synced", "ExternalSecret/login")
def _() -> World:
    one = external(FAILED)
    return [
        one,
        store(),
        event(one, "UpdateFailed", "error retrieving secret at .data[0], key: prod/login: not found"),
        *needing(),
    ], []


@case("secret-store-not-ready", "SecretStore/vault")
def _() -> World:
    closed = told("Ready", "False", "InvalidProviderConfig", "unable to log in with Kubernetes auth: permission denied")
    return [external(FAILED), store(closed), *needing()], []

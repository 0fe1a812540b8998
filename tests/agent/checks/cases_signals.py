"""Incidents that only the logs of a workload tell of, and what was changed before them."""

from datetime import timedelta
from typing import Any

from agent.domain.objects import ContainerLog
from tests.agent.builders import NOW, ago, app, container, log, obj
from tests.agent.checks.cases import World, case


def failing_log(
    of: dict[str, Any], *, minutes: float = 4, said: str = "ERROR price table is locked by migration 77"
) -> ContainerLog:
    """Ordinary work, one error that says why, and a flood that does not; the trouble began `minutes` ago."""
    work = [f"{stamp(minutes + 10 - n / 60)} INFO request {n} served" for n in range(590)]
    flood = [f"{stamp(minutes - 0.05 - n / 60)} ERROR order {n} failed" for n in range(int(minutes * 60) - 6)]
    return log(of, "\n".join([*work, f"{stamp(minutes)} {said}", *flood]))


def stamp(minutes: float) -> str:
    return (NOW - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def edited(kind: str, name: str, *, minutes: float, key: str = "LIMIT") -> dict[str, Any]:
    """A ConfigMap or Secret of long ago whose key somebody wrote `minutes` ago."""
    fields = [{"manager": "kubectl-edit", "operation": "Update", "time": ago(minutes), "fieldsV1": {"f:data": {f"f:{key}": {}}}}]
    return obj(kind, name, minutes=600, metadata={"managedFields": fields}, data={key: "7"})


def reading(kind: str, name: str) -> dict[str, Any]:
    source = "configMapRef" if kind == "ConfigMap" else "secretRef"
    return container(envFrom=[{source: {"name": name}}])


@case("application-error", "Deployment/web")
def _() -> World:
    objects = app("web", minutes=600)
    return objects, [failing_log(objects[2])]


@case("errors-after-config-change", "ConfigMap/settings")
def _() -> World:
    volumes = [{"name": "settings", "configMap": {"name": "settings"}}]
    objects = app("web", minutes=600, pod={"volumes": volumes})
    return [*objects, edited("ConfigMap", "settings", minutes=5)], [failing_log(objects[2])]


@case("config-stale", "Deployment/web")
def _() -> World:
    objects = app("web", minutes=600, containers=[reading("ConfigMap", "settings")])
    return [*objects, edited("ConfigMap", "settings", minutes=2)], [failing_log(objects[2])]


def repeated(of: dict[str, Any], said: str, *, minutes: float = 4) -> ContainerLog:
    return log(of, "\n".join(f"{stamp(minutes - n / 6)} {said}" for n in range(int(minutes * 6))))


@case("external-dependency-failing", "Deployment/web")
def _() -> World:
    objects = app("web", minutes=600)
    return objects, [repeated(objects[2], 'ERROR Post "https://api.pay.example.com/v1/charges": dial tcp: i/o timeout')]


@case("credentials-refused", "Deployment/web")
def _() -> World:
    objects = app("web", minutes=600, containers=[reading("Secret", "login")])
    said = 'FATAL: password authentication failed for user "shop"'
    return [*objects, edited("Secret", "login", minutes=9, key="password")], [repeated(objects[2], said)]

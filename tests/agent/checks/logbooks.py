"""Logs and edits for incidents: ordinary work, a flood behind its first error, one line again and again."""

from datetime import timedelta
from typing import Any

from agent.domain.objects import ContainerLog
from tests.agent.builders import NOW, ago, container, log, obj


def failing_log(
    of: dict[str, Any], *, minutes: float = 4, said: str = "ERROR price table is locked by migration 77"
) -> ContainerLog:
    """Ordinary work, one error that says why, and a flood that does not; the trouble began `minutes` ago."""
    work = [f"{stamp(minutes + 10 - n / 60)} INFO request {n} served" for n in range(590)]
    flood = [f"{stamp(minutes - 0.05 - n / 60)} ERROR order {n} failed" for n in range(int(minutes * 60) - 6)]
    return log(of, "\n".join([*work, f"{stamp(minutes)} {said}", *flood]))


def repeated(of: dict[str, Any], said: str, *, minutes: float = 4) -> ContainerLog:
    return log(of, "\n".join(f"{stamp(minutes - n / 6)} {said}" for n in range(int(minutes * 6))))


def stamp(minutes: float) -> str:
    return (NOW - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def edited(kind: str, name: str, *, minutes: float, key: str = "LIMIT") -> dict[str, Any]:
    """A ConfigMap or Secret of long ago whose key somebody wrote `minutes` ago."""
    fields = [{"manager": "kubectl-edit", "operation": "Update", "time": ago(minutes), "fieldsV1": {"f:data": {f"f:{key}": {}}}}]
    return obj(kind, name, minutes=600, metadata={"managedFields": fields}, data={key: "7"})


def reading(kind: str, name: str) -> dict[str, Any]:
    source = "configMapRef" if kind == "ConfigMap" else "secretRef"
    return container(envFrom=[{source: {"name": name}}])

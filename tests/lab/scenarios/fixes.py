"""For each scenario: what shows, what a right fix does through the API, and what a wrong one does."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lab.laboratory import Laboratory

Fix = Callable[[Laboratory], None]


def nothing(lab: Laboratory) -> None:
    """Nothing in particular has to show."""


@dataclass(frozen=True, kw_only=True)
class Case:
    shows: Fix = nothing
    right: tuple[Fix, ...] = ()
    wrong: tuple[Fix, ...] = ()
    seconds: float = 420.0  # of lab time, for a fix to work


def patch(path: str, body: Any, *, kind: str = "application/strategic-merge-patch+json") -> Fix:
    return lambda lab: lab.request("PATCH", path, body, content_type=kind)


def json_patch(path: str, *operations: dict[str, Any]) -> Fix:
    return patch(path, list(operations), kind="application/json-patch+json")


def deployment(namespace: str, name: str) -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"


def container(namespace: str, workload: str, name: str, **fields: Any) -> Fix:
    spec = {"template": {"spec": {"containers": [{"name": name, **fields}]}}}
    return patch(deployment(namespace, workload), {"spec": spec})


def restart(namespace: str, workload: str) -> Fix:
    stamp = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
    return patch(deployment(namespace, workload), {"spec": {"template": {"metadata": {"annotations": stamp}}}})


def pods(lab: Laboratory, namespace: str, app: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = lab.request("GET", f"/api/v1/namespaces/{namespace}/pods?labelSelector=app%3D{app}")["items"]
    return found


def events(lab: Laboratory, namespace: str, reason: str) -> list[str]:
    items = lab.request("GET", f"/api/v1/namespaces/{namespace}/events?fieldSelector=reason%3D{reason}")["items"]
    return [e["message"] for e in items]


def waiting(namespace: str, app: str, reason: str) -> Fix:
    def look(lab: Laboratory) -> None:
        states = [
            c["state"].get("waiting", {}).get("reason")
            for p in pods(lab, namespace, app)
            for c in p["status"]["containerStatuses"]
        ]
        assert reason in states, states

    return look


def last_exit(namespace: str, app: str, code: int, reason: str) -> Fix:
    def look(lab: Laboratory) -> None:
        ended = [
            (t["exitCode"], t["reason"])
            for p in pods(lab, namespace, app)
            for c in p["status"]["containerStatuses"]
            for t in [c["lastState"].get("terminated") or c["state"].get("terminated")]
            if t
        ]
        assert (code, reason) in ended, ended

    return look


def event(namespace: str, reason: str, text: str) -> Fix:
    def look(lab: Laboratory) -> None:
        found = events(lab, namespace, reason)
        assert any(text in m for m in found), found

    return look


def log(namespace: str, app: str, text: str) -> Fix:
    def look(lab: Laboratory) -> None:
        said = ""
        for pod in pods(lab, namespace, app):
            path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}/log"
            for suffix in ("", "?previous=true"):
                status, body = lab.server.call("GET", path + suffix)
                said += str(body) if status == 200 else ""
        assert text in said, said[-500:]

    return look


def all_of(*looks: Fix) -> Fix:
    def look(lab: Laboratory) -> None:
        for one in looks:
            one(lab)

    return look


FIXES: dict[str, Case] = {
    "memory-limit": Case(
        shows=all_of(waiting("shop", "price-index", "CrashLoopBackOff"), last_exit("shop", "price-index", 137, "OOMKilled")),
        right=(container("shop", "price-index", "price-index", resources={"limits": {"memory": "128Mi"}}),),
        wrong=(restart("shop", "price-index"),),
    ),
}

"""Incidents of the network: policies that let nothing through, rights that nobody gave, names that do not resolve."""

from collections.abc import Sequence
from typing import Any

from tests.agent.builders import app, container, lines, log, obj
from tests.agent.checks.cases import World, case

RBAC = "rbac.authorization.k8s.io/v1"


def policy(name: str, *, namespace: str = "shop", select: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    selector = {"matchLabels": select} if select else {}
    return obj("NetworkPolicy", name, api="networking.k8s.io/v1", namespace=namespace, spec={"podSelector": selector, **spec})


def calling(said: str, *more: dict[str, Any], to: str = "http://api", caller: Sequence[dict[str, Any]] | None = None) -> World:
    """`web` calls `api` (both healthy) and its log says so again and again."""
    boxes = [container(env=[{"name": "API_URL", "value": to}])]
    objects = list(caller) if caller is not None else app("web", containers=boxes)
    one = next(each for each in objects if each["kind"] == "Pod")
    return [*objects, *app("api"), *more], [log(one, lines(*[said] * 5))]


TIMEOUT = 'ERROR Get "http://api/items": dial tcp 10.0.0.9:80: i/o timeout'
NO_NAME = "ERROR dial tcp: lookup api on 10.96.0.10:53: read udp 10.1.0.3:4711->10.96.0.10:53: i/o timeout"


@case("networkpolicy-blocks", "NetworkPolicy/api-in")
def _() -> World:
    allowed = [{"from": [{"podSelector": {"matchLabels": {"app": "wep"}}}], "ports": [{"port": 8080}]}]
    return calling(TIMEOUT, policy("api-in", select={"app": "api"}, ingress=allowed))


@case("networkpolicy-blocks-dns", "NetworkPolicy/tight")
def _() -> World:
    return calling(NO_NAME, policy("tight", policyTypes=["Egress"], egress=[{"to": [{"podSelector": {}}]}]))


@case("networkpolicy-selects-nothing", "NetworkPolicy/api-in")
def _() -> World:
    return [*app("web"), *app("api-server"), policy("api-in", select={"app": "api-servr"})], []

"""What belongs to a workload in people's words, told from what it needs; and logs and events fit for a conversation."""

from agent.chat.belongings import belonging
from agent.chat.streams import events_of, logs_of
from agent.domain.objects import ContainerLog, Ref
from agent.ports import Observed
from agent.topology import build
from tests.agent.builders import NOW, container, deployment, event, obj, pod, replica_set

WEB = Ref("Deployment", "shop", "web")


def service(name: str, port: int, **selector: str):
    return obj("Service", name, spec={"selector": selector, "ports": [{"port": port, "targetPort": port}]})


def running(name: str, image: str, *environment: tuple[str, str]):
    env = [{"name": key, "value": value} for key, value in environment]
    owner = deployment(name, containers=[container(image=image, env=env)])
    set_ = replica_set(owner)
    return [owner, set_, pod(set_)]


def topology(*objects, logs=()):
    return build(NOW, [one for group in objects for one in group], logs)


def test_the_database_is_what_answers_behind_the_service_that_it_calls():
    web = running("web", "web:1", ("DATABASE_URL", "postgres://ledger.shop.svc:5432/app"), ("CART_URL", "http://cart.shop.svc"))
    seen = topology(
        web,
        running("ledger", "docker.io/library/postgres:16.4"),
        running("cart", "cart:2"),
        [service("ledger", 5432, app="ledger"), service("cart", 80, app="cart")],
    )

    assert belonging("database", WEB, seen).refs == (Ref("Deployment", "shop", "ledger"),)
    assert belonging("db", WEB, seen).refs == (Ref("Deployment", "shop", "ledger"),)
    assert belonging("cache", WEB, seen).refs == ()
    assert Ref("Deployment", "shop", "cart") in belonging("cache", WEB, seen).needs


def test_a_database_beyond_the_cluster_is_said_to_be_there():
    web = running("web", "web:1", ("DB_HOST", "orders.c9akciq32.eu-central-1.rds.amazonaws.com:5432"))

    found = belonging("database", WEB, topology(web))

    assert found.refs == ()
    assert "rds.amazonaws.com" in found.outside[0]
    assert found.missing == ()


def test_a_database_that_is_called_as_one_of_the_cluster_and_is_not_there_is_not_said_to_be_elsewhere():
    web = running("web", "web:1", ("DB_HOST", "ledger-db.shop.svc.cluster.local"))

    found = belonging("database", WEB, topology(web))

    assert "ledger-db.shop" in found.missing[0]
    assert found.outside == ()


def test_config_node_and_service_are_told_by_kind():
    owner = deployment("web", containers=[container(envFrom=[{"configMapRef": {"name": "web-settings"}}])])
    set_ = replica_set(owner)
    seen = topology(
        [owner, set_, pod(set_, node="node-7"), obj("ConfigMap", "web-settings", data={}), service("web", 80, app="web")],
        [obj("Node", "node-7", api="v1", namespace="")],
    )

    assert belonging("config", WEB, seen).refs == (Ref("ConfigMap", "shop", "web-settings"),)
    assert belonging("node", WEB, seen).refs == (Ref("Node", "", "node-7"),)
    assert belonging("service", WEB, seen).refs == (Ref("Service", "shop", "web"),)


class Reader:
    """As much of a ClusterReader as logs need."""

    name = "lab"

    def __init__(self, text: str) -> None:
        self.text = text

    async def logs(self, pods, *, tail: int) -> Observed:
        ref, name, previous = pods[0]
        log = ContainerLog(namespace=ref.namespace, pod=ref.name, container=name, previous=previous, text=self.text)
        return Observed(now=NOW, logs=(log,))


async def test_logs_are_masked_and_harmless_and_short():
    seen = topology(running("web", "web:1"))
    text = "x\n" * 100 + "token=abcdef123456 \x1b[31mred\u202e\n" + "y" * 5000

    found = await logs_of(WEB, seen, reader=Reader(text), previous=False)

    assert len(found[0].lines) <= 25
    assert "abcdef123456" not in str(found)
    assert "\x1b" not in str(found)
    assert "\u202e" not in str(found)
    assert max(map(len, found[0].lines)) <= 400


async def test_what_never_ran_before_has_no_previous_logs():
    found = await logs_of(WEB, topology(running("web", "web:1")), reader=Reader(""), previous=True)

    assert found[0].lines == ()
    assert "before" in found[0].why


def test_events_of_a_workload_are_those_of_its_pods_too():
    web = running("web", "web:1")
    seen = topology(web, [event(web[2], "BackOff", "Back-off restarting\nfailed container")])

    found = events_of(WEB, seen)

    assert "BackOff" in found[0].lines[0]
    assert "\n" not in found[0].lines[0]
    assert events_of(Ref("Deployment", "shop", "other"), seen)[0].why

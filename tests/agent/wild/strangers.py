"""A company that ships freight, on a small cluster with what belongs to it: the ground for incidents that others had, as a
stranger would write them down. Knows no check and no cause."""
# ruff: noqa: E501  (what a cluster says stays in one line)

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from agent.domain.objects import ContainerLog
from tests.agent.builders import NOW, ago
from tests.agent.wild.clusters import applications, kubeadm
from tests.agent.wild.platform import dns, ingress_nginx
from tests.agent.wild.world import DAY, Object, World, running, template_of, terminated

FREIGHT = "freight"
Happen = Callable[[World], None]


@dataclass(frozen=True, kw_only=True)
class Tale:
    """`asks`: the question in somebody's own words. `who`: Kind/namespace/name of the culprit, or its beginning; `causes`: any
    of them is right. `also`: causes that have to be told too; `mention`: words of the answer; `never`: what must not be said.
    `whole`: in a cluster with a year of leftovers."""

    asks: str
    who: str = ""
    causes: tuple[str, ...] = ()
    make: Happen
    never: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    outcome: str = ""
    mention: tuple[str, ...] = ()
    whole: bool = False


TALES: dict[str, Tale] = {}


def tale(
    asks: str,
    who: str = "",
    *causes: str,
    never: tuple[str, ...] = (),
    also: tuple[str, ...] = (),
    outcome: str = "",
    mention: tuple[str, ...] = (),
    whole: bool = False,
) -> Callable[[Happen], Happen]:
    def keep(make: Happen) -> Happen:
        named = make.__name__.replace("_", "-")
        assert named not in TALES, named
        TALES[named] = Tale(asks=asks, who=who, causes=causes, make=make, never=never, also=also, outcome=outcome,
                            mention=mention, whole=whole)  # fmt: skip
        return make

    return keep


def cluster(*, whole: bool = False) -> World:
    """The company's cluster before anything happens in it."""
    world = applications(kubeadm()) if whole else World(4)
    if not whole:
        dns(world)
        ingress_nginx(world)
        world.daemon_set("kube-proxy", "kube-system", image="registry.k8s.io/kube-proxy:v1.33.4", hostNetwork=True)
        world.make("StorageClass", "fast", api="storage.k8s.io/v1", provisioner="csi.example.com",
                   volumeBindingMode="WaitForFirstConsumer")  # fmt: skip
    if not any(one["kind"] == "IngressClass" and one["metadata"]["name"] == "nginx" for one in world.objects):
        world.make("IngressClass", "nginx", api="networking.k8s.io/v1", spec={"controller": "k8s.io/ingress-nginx"})
    _freight(world)
    return world


def _freight(world: World) -> None:
    world.namespace(FREIGHT)
    world.make("ConfigMap", "dispatch-settings", FREIGHT,
               data={"QUOTES_URL": "http://quotes.freight.svc.cluster.local:8080", "LOG_LEVEL": "info"})  # fmt: skip
    world.make("Secret", "tariff-db-auth", FREIGHT, type="Opaque", data={"password": "", "username": ""})
    asked = {"httpGet": {"path": "/healthz", "port": "main"}}
    probes = {"readinessProbe": asked, "livenessProbe": asked}
    world.deployment("portal", FREIGHT, replicas=2, service=80, box=probes, env={"DISPATCH_URL": "http://dispatch:8080"})
    world.deployment("dispatch", FREIGHT, replicas=3, service=8080, box=probes, env={
        "QUOTES_URL": {"configMapKeyRef": {"name": "dispatch-settings", "key": "QUOTES_URL"}}, "AMQP_URL": "amqp://broker:5672"})  # fmt: skip
    world.deployment("quotes", FREIGHT, replicas=2, service=8080, box=probes, env={
        "DB_HOST": "tariff-db", "DB_PORT": "5432", "CARRIER_API": "https://api.carrier.example.net/v2",
        "DB_PASSWORD": {"secretKeyRef": {"name": "tariff-db-auth", "key": "password"}}})  # fmt: skip
    world.stateful_set("tariff-db", FREIGHT, replicas=1, image="postgres:16.4", listens=5432, volume="fast", service=5432)
    world.stateful_set("broker", FREIGHT, replicas=3, image="rabbitmq:4.1", listens=5672, volume="fast", service=5672)
    world.deployment("labels-worker", FREIGHT, replicas=2, env={"AMQP_URL": "amqp://broker:5672"})
    world.deployment("portal-admin", FREIGHT, replicas=1, service=80)
    backend = {"service": {"name": "portal", "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    world.make("Ingress", "portal", FREIGHT, api="networking.k8s.io/v1", status={"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}},
               spec={"ingressClassName": "nginx", "rules": [{"host": "portal.example.org", "http": {"paths": paths}}]})  # fmt: skip
    for name in ("portal", "dispatch", "quotes", "labels-worker"):
        for pod in world.pods(deployed(world, name)):
            world.log(pod, 'level=info msg="listening on 0.0.0.0:8080"', *served(2), minutes=3)
    nightly = world.make("CronJob", "nightly-tariffs", FREIGHT, api="batch/v1",
                         spec={"schedule": "0 2 * * *", "concurrencyPolicy": "Forbid",
                               "jobTemplate": {"spec": {"template": template_of("nightly-tariffs", {})}}},
                         status={"lastScheduleTime": ago(600), "lastSuccessfulTime": ago(598)})  # fmt: skip
    world.job("nightly-tariffs-29000000", FREIGHT, owner=nightly, minutes=600)
    for pod in world.pods(deployed(world, "labels-worker")):  # trouble that has long been over
        ended = terminated(1, minutes=3 * DAY + 0.2)
        pod["status"]["containerStatuses"][0] |= running("labels-worker", 3 * DAY, restarts=2, last=ended)


# Looking and telling --------------------------------------------------------------------------------------------------------


def deployed(world: World, name: str) -> Object:
    return world.get("Deployment", FREIGHT, name)


def stateful(world: World, name: str) -> Object:
    return world.get("StatefulSet", FREIGHT, name)


def logged(world: World, pod: Object, *told: str, minutes: float = 0.2, container: str = "", previous: bool = False) -> None:
    """In place of what its log held."""
    name = container or pod["spec"]["containers"][0]["name"]
    world.logs[:] = [
        log
        for log in world.logs
        if not (log.pod == pod["metadata"]["name"] and log.container == name and log.previous == previous)
    ]
    world.log(pod, *told, minutes=minutes, container=container, previous=previous)


def say(world: World, workload: Object, *told: str, minutes: float = 0.2) -> None:
    for pod in world.pods(workload):
        logged(world, pod, *told, minutes=minutes)


def over_time(world: World, workload: Object | None, *told: str, start: float = 30, end: float = 0.1,
              pods: Sequence[Object] | None = None) -> None:  # fmt: skip
    """Lines at even distances from `start` to `end` minutes ago, in place of what the logs held."""
    step = (start - end) / max(len(told) - 1, 1)
    stamps = [(NOW - timedelta(minutes=start - step * number)).strftime("%Y-%m-%dT%H:%M:%SZ") for number in range(len(told))]
    text = "\n".join(f"{stamp} {line}" for stamp, line in zip(stamps, told, strict=True))
    for pod in pods if workload is None else world.pods(workload):
        logged(world, pod)
        world.logs[-1] = ContainerLog(namespace=pod["metadata"]["namespace"], pod=pod["metadata"]["name"],
                                      container=pod["spec"]["containers"][0]["name"], previous=False, text=text)  # fmt: skip


def served(count: int) -> list[str]:
    return [f'level=info msg="request done" status=200 ms={9 + number % 7} path=/v1/items/{number}' for number in range(count)]


def mixed(bad: str, count: int) -> list[str]:
    """Every other request fails; # stands for a number."""
    return [bad.replace("#", str(1000 + number)) if number % 2 == 0 else served(1)[0] for number in range(count)]

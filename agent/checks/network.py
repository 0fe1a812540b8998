"""Names and ports that callers use, held against the Services that are there: configuration plus the caller's own log."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

from agent.checks.callers import log_troubles
from agent.checks.config import near
from agent.checks.containers import rollback_params
from agent.checks.registry import check, quote_field
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Ref
from agent.signals.connections import ConnectionTrouble
from agent.signals.masking import mask
from agent.topology import Topology, pod_spec_of
from agent.topology.calls import Address, hosts_in, service_of
from agent.topology.fields import field_writes, items, mapping, name_of, number, text
from agent.topology.workloads import rollback
from sidecar.contract import Json

_DATABASE_PORTS = {5432, 3306, 1433, 1521, 27017, 6379, 9042, 5984, 26257, 9200, 50000, 3307}
_DATABASE_WORDS = ("postgres", "mysql", "maria", "mongo", "redis", "database", "cassandra", "sqlserver", "oracle", "-db", "db-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Misnamed:
    """A host name in configuration that means a Service which does not exist, and who uses it."""

    address: Address
    service: Ref
    users: tuple[Ref, ...]


def misnamed(topology: Topology) -> Iterator[Misnamed]:
    """Every such name, by holder (a workload's environment, or a ConfigMap key that several workloads read)."""
    users: dict[tuple[Ref, str, str], list[Ref]] = {}
    found: dict[tuple[Ref, str, str], tuple[Address, Ref]] = {}
    for unit, addresses in topology.addresses.items():
        for address in addresses:
            service = topology.host(address.host, unit.namespace)
            if service is None or service in topology.objects or not topology.saw("Service"):
                continue
            if not topology.in_namespace("Service", service.namespace) and not topology.knows_namespace(service.namespace):
                continue
            key = (address.holder, address.key, address.host)
            found[key] = (address, service)
            users.setdefault(key, []).append(unit)
    for key, (address, service) in sorted(found.items(), key=lambda one: (one[0][0], one[0][1], one[0][2])):
        yield Misnamed(address=address, service=service, users=tuple(sorted(dict.fromkeys(users[key]))))


@check("wrong-service-name", weight=0.95)
def name_without_service(topology: Topology) -> Iterator[Finding]:
    """A configured host name that no Service has, and a caller whose log says that it cannot be reached."""
    for one in misnamed(topology):
        told = [
            (trouble, quote)
            for unit, trouble, quote in log_troubles(topology)
            if unit in one.users and service_of(trouble.host, unit.namespace) == one.service
        ]
        if not told:
            continue
        names = [name_of(service) for service in topology.in_namespace("Service", one.service.namespace)]
        like = _elsewhere(topology, one.service, names) or near(one.service.name, names)
        yield _wrong_name(topology, one, like, told)


def _elsewhere(topology: Topology, service: Ref, names: list[str]) -> str:
    """NAME.NAMESPACE of the one Service that has exactly this name in another namespace, unless one here is all but the same: a
    short name is looked for in the caller's own namespace only."""
    if near(service.name, names) and SequenceMatcher(None, service.name, near(service.name, names)).ratio() > 0.85:
        return ""
    spaces = sorted(ref.namespace for ref in topology.objects if ref.kind == "Service" and ref.name == service.name)
    return f"{service.name}.{spaces[0]}" if len(spaces) == 1 else ""


def _wrong_name(topology: Topology, one: Misnamed, like: str, told: list[tuple[ConnectionTrouble, Quote]]) -> Finding:
    address, holder = one.address, one.address.holder
    value = _value(topology, address)
    corrected = _replaced(value, one.service.name, like) if like else ""
    said = "the name does not resolve (no such host)" if told[0][0].kind == "dns" else f"calls fail ({told[0][0].kind})"
    named = f"{address.key}={value}" if address.key and value and len(value) < 200 else f"{address.host} in {address.where}"
    params: dict[str, Json] = {
        "host": address.host,
        "key": address.key,
        "candidate": like,
        "consumers": [f"{u.kind}/{u.namespace}/{u.name}" for u in one.users],
        "holder_kind": holder.kind,
    }
    if corrected and mask(value) == value:  # a value that holds a secret stays where it is
        params |= {"value": value, "suggested_value": corrected, "value_path": _path(topology, address)}
    writes = list(field_writes(topology.objects[holder])) if holder in topology.objects else []
    since = max((when for _, when, _ in writes), default=None)
    if holder.kind == "Deployment":
        params |= rollback_params(rollback(topology, holder, None))
    who = ", ".join(map(str, one.users))
    has = f"the Service is called {like}" if like else "no Service with a similar name exists"
    if "." in like:
        has = f"the Service of that name is in namespace {like.partition('.')[2]} ({like})"
    return Finding(
        cause="wrong-service-name",
        subject=holder,
        affects=one.users,
        params=params,
        since=since if holder.kind == "ConfigMap" else told[0][0].first.at,
        quotes=(quote_field(holder, address.where, named, since), *(quote for _, quote in told[:2])),
        statement=f"{who} {'is' if len(one.users) == 1 else 'are'} configured"
        f"{f' by {holder}' if holder not in one.users else ''} with {named}, but {has} (Service {one.service.name} does not"
        f" exist in"
        f" namespace {one.service.namespace}), so {said}.",
    )


def _value(topology: Topology, address: Address) -> str:
    manifest = topology.objects.get(address.holder, {})
    if address.holder.kind == "ConfigMap":
        return text(mapping(manifest, "data"), address.key)
    for container in items(pod_spec_of(manifest), "containers"):
        for variable in items(container, "env"):
            if text(variable, "name") == address.key and text(variable, "value"):
                return text(variable, "value")
    return ""


def _replaced(value: str, wrong: str, right: str) -> str:
    """The value with the first label of each wrong host name put right, and nothing else changed."""
    for host, _ in hosts_in(value, key="host"):
        if host == wrong or host.startswith(f"{wrong}."):
            value = value.replace(host, right + host[len(wrong) :])
    return value


def _path(topology: Topology, address: Address) -> str:
    """JSON Pointer of the value in its holder."""
    if address.holder.kind == "ConfigMap":
        return f"/data/{address.key.replace('~', '~0').replace('/', '~1')}"
    prefix = "/spec" if address.holder.kind == "Pod" else "/spec/template/spec"
    for place, container in enumerate(items(pod_spec_of(topology.objects.get(address.holder, {})), "containers")):
        for index, variable in enumerate(items(container, "env")):
            if text(variable, "name") == address.key:
                return f"{prefix}/containers/{place}/env/{index}/value"
    return ""


@check("wrong-database-port", weight=0.95)
@check("wrong-service-port", weight=0.95)
def port_not_offered(topology: Topology) -> Iterator[Finding]:
    """A caller that fails on a Service's name with a port which the Service does not offer."""
    for unit, trouble, quote in log_troubles(topology):
        service = topology.host(trouble.host, unit.namespace)
        manifest = topology.objects.get(service) if service is not None and service.kind == "Service" else None
        if service is None or manifest is None or not trouble.port or unit not in topology.objects:
            continue
        offered = [number(port, "port") for port in items(manifest, "spec", "ports")]
        if not offered or trouble.port in offered or text(manifest, "spec", "clusterIP") == "None":
            continue
        has = ", ".join(map(str, offered))
        database = bool(set(offered) & _DATABASE_PORTS) or any(word in service.name for word in _DATABASE_WORDS)
        holder = next(
            (one for one in topology.addresses.get(unit, ()) if topology.host(one.host, unit.namespace) == service), None
        )
        params: dict[str, Json] = {"host": trouble.host, "port": trouble.port, "offered": list(offered), "service": service.name}
        if holder is not None and len(offered) == 1 and holder.key:
            value = _value(topology, holder)
            if f":{trouble.port}" in value and mask(value) == value:
                params |= {
                    "value_path": _path(topology, holder),
                    "holder": f"{holder.holder.kind}/{holder.holder.namespace}/{holder.holder.name}",
                    "suggested_value": value.replace(f":{trouble.port}", f":{offered[0]}"),
                }
        yield Finding(
            cause="wrong-database-port" if database else "wrong-service-port",
            subject=unit,
            since=trouble.first.at,
            params=params,
            quotes=(quote, quote_field(service, "spec", f"ports: {has}")),
            statement=f"{unit} connects to {service.name} on port {trouble.port}, but Service {service.name} offers only"
            f" port {has},"
            f" so its connections fail ({trouble.kind}).",
        )

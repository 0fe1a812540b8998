"""Probes that ask in a way the program cannot answer: a port name that nobody has, another scheme, an address that only the
container itself reaches."""

import re
from collections.abc import Iterator

from agent.checks.probes import complained_of, failures_of, listening_ports
from agent.checks.registry import check, quote_event, quote_field, quote_log
from agent.domain.finding import Finding
from agent.topology import Topology, pod_spec_of
from agent.topology.fields import at, items, mapping, ref_of, text
from agent.topology.pods import container_ports, is_ready, unready_since
from agent.topology.workloads import current_pods
from sidecar.contract import Json

_KINDS = {"readinessProbe": "Readiness", "livenessProbe": "Liveness", "startupProbe": "Startup"}
_SCHEME = re.compile(
    r"server gave HTTP response to HTTPS client|tls: first record does not look like a TLS handshake|malformed HTTP response"
    r"|client sent an HTTP request to an HTTPS server|\\x15\\x03\\x01",
    re.I,
)
_LOOPBACK = re.compile(r"(?:127\.0\.0\.1|\blocalhost|\[::1\]):(\d{2,5})\b")
_SERVES = re.compile(r"listen|running|serving|started|ready|local:|bound|binding|address", re.I)


@check("readiness-probe-wrong-port", weight=0.95)
def asks_a_port_by_a_name_that_nobody_has(topology: Topology) -> Iterator[Finding]:
    """A probe's port is a name that the container does not declare: the kubelet cannot ask at all ("errored")."""
    for unit in complained_of(topology):
        for pod in current_pods(topology, unit):
            if is_ready(pod):
                continue
            for number, container in enumerate(items(pod_spec_of(pod), "containers")):
                declared = [name for name, _, owner in container_ports({"containers": [container]}) if name and owner]
                for field, kind in _KINDS.items():
                    way = next((way for way in ("httpGet", "tcpSocket") if mapping(container, field, way)), "")
                    port = at(container, field, way, "port") if way else None
                    told = failures_of(topology, pod, kind)
                    if not isinstance(port, str) or port.isdigit() or port in declared or not told:
                        continue
                    params: dict[str, Json] = {
                        "container": text(container, "name"),
                        "port": port,
                        "listening": [*declared],
                        "port_path": f"/spec/template/spec/containers/{number}/{field}/{way}/port",
                    }
                    if len(declared) == 1:
                        params["suggested_port"] = declared[0]
                    yield Finding(
                        cause="readiness-probe-wrong-port",
                        subject=unit,
                        since=unready_since(pod),
                        affects=(ref_of(pod),),
                        params=params,
                        quotes=(
                            quote_event(told[-1]),
                            quote_field(unit, "pod template", f"{field}: port {port}; port names {declared or 'none'}"),
                        ),
                        statement=f"The {kind.lower()} probe of {unit} asks port {port}, and container {text(container, 'name')}"
                        f" has no port of that name ({', '.join(declared) or 'it names none'}), so its pods are never ready.",
                    )
                    return


@check("probe-wrong-scheme", weight=0.94)
def asks_in_another_scheme(topology: Topology) -> Iterator[Finding]:
    """HTTPS is spoken to a plain port, or HTTP to one that wants TLS."""
    for unit in complained_of(topology):
        for pod in current_pods(topology, unit):
            told = [one for kind in _KINDS.values() for one in failures_of(topology, pod, kind) if _SCHEME.search(one.message)]
            if is_ready(pod) or not told:
                continue
            plain = "to HTTPS client" in told[-1].message or "first record" in told[-1].message
            asked, wanted = ("HTTPS", "HTTP") if plain else ("HTTP", "HTTPS")
            yield Finding(
                cause="probe-wrong-scheme",
                subject=unit,
                since=unready_since(pod),
                affects=(ref_of(pod),),
                params={"scheme": asked, "suggested_scheme": wanted},
                quotes=(quote_event(told[-1]),),
                statement=f"A probe of {unit} speaks {asked}, and the program behind the port speaks {wanted}: every probe fails,"
                f" although the program serves.",
            )
            break


@check("listens-on-loopback", weight=0.94)
def heard_by_nobody_else(topology: Topology) -> Iterator[Finding]:
    """The program's own log says that it listens on 127.0.0.1 only, and the pod's address refuses that very port."""
    for unit in complained_of(topology):
        for pod in current_pods(topology, unit):
            told = [one for kind in _KINDS.values() for one in failures_of(topology, pod, kind) if "refused" in one.message]
            if is_ready(pod) or not told:
                continue
            found = next(
                (
                    (log.container, line, match[1])
                    for log in topology.logs.get(ref_of(pod), ())
                    for line in log.text[:20_000].splitlines()
                    for match in [_LOOPBACK.search(line)]
                    if match is not None and _SERVES.search(line) and any(f":{match[1]}" in one.message for one in told)
                ),
                None,
            )
            if found is None or not listening_ports(topology, pod, found[0]):
                continue
            container, line, port = found
            yield Finding(
                cause="listens-on-loopback",
                subject=unit,
                since=unready_since(pod),
                affects=(ref_of(pod),),
                params={"container": container, "port": int(port)},
                quotes=(quote_log(ref_of(pod), container, line), quote_event(told[-1])),
                statement=f"The program in container {container} of {unit} listens on the loopback address only (port {port}), so"
                " nobody outside of its pod reaches it: neither the kubelet's probes nor any Service.",
            )
            break

"""Programs that look for a dependency within their own pod, where nobody is: the address was left at its default."""

from collections.abc import Iterator

from agent.checks.callers import log_troubles
from agent.checks.containers import rollback_params
from agent.checks.registry import check, quote_field
from agent.domain.finding import Finding
from agent.signals.logs import started_lately
from agent.topology import Topology, pod_spec_of
from agent.topology.fields import at, items, ref_of
from agent.topology.pods import container_ports
from agent.topology.workloads import is_serving, live_pods, rollback

_OWN = ("127.0.0.1", "localhost", "::1", "0.0.0.0")  # noqa: S104  what programs call, nothing of ours listens there
_TELEMETRY = frozenset(
    {4317, 4318, 6831, 6832, 8125, 8126, 9411, 14250, 14268, 24224, 54526}
)  # agents beside a program, optional
_OFTEN = 5
_LATELY = 900  # s; the longest silence of a container that waits to be started again


@check("dependency-on-localhost", weight=0.84)
def calls_itself(topology: Topology) -> Iterator[Finding]:
    """A refused connection to the pod's own address, in a pod of one container that serves no such port."""
    for unit, trouble, quote in log_troubles(topology):
        if trouble.host not in _OWN or trouble.kind != "refused" or not trouble.port or unit not in topology.objects:
            continue
        spec = pod_spec_of(topology.objects[unit])
        natives = [one for one in items(spec, "initContainers") if at(one, "restartPolicy") == "Always"]
        boxes = {len(items(pod_spec_of(pod), "containers")) for pod in live_pods(topology, unit)} or {
            len(items(spec, "containers"))
        }
        served = {port for _, port, _ in container_ports(spec)}
        if boxes != {1} or natives or at(spec, "hostNetwork") is True or trouble.port in served:
            continue  # another container may be meant, or the node
        if trouble.port in _TELEMETRY or (is_serving(topology, unit) and trouble.count < _OFTEN):
            continue  # what is sent to nobody there, or failed now and then, ends nothing
        if not started_lately(trouble.last, topology.now, seconds=_LATELY):
            continue
        near = [
            ref_of(one)
            for one in topology.in_namespace("Service", unit.namespace)
            if any(at(port, "port") == trouble.port for port in items(one, "spec", "ports"))
        ]
        there = f" ({near[0]} offers that port)" if len(near) == 1 else ""
        back = rollback(topology, unit, trouble.first.at)
        yield Finding(
            cause="dependency-on-localhost",
            subject=unit,
            since=trouble.first.at,
            params={"port": trouble.port, "service": near[0].name if len(near) == 1 else "", **rollback_params(back)},
            quotes=(quote, quote_field(unit, "pod template", f"one container, ports {sorted(served) or 'none'}")),
            statement=f"{unit} looks for port {trouble.port} on its own pod ({trouble.host}), where nothing serves it: the"
            f" address of what it needs is not configured, or not read{there}.",
        )

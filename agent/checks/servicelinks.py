"""Variables that Kubernetes itself puts into containers: one for each Service of the namespace (service links). A program that
reads NAME_PORT for a number of its own gets an address of that shape instead."""

import re
from collections.abc import Iterator

from agent.checks.applications import told
from agent.checks.registry import check, quote_field
from agent.domain.finding import Finding
from agent.domain.objects import Ref
from agent.signals.logs import is_quiet
from agent.topology import Topology, pod_spec_of
from agent.topology.fields import at, items, name_of, ref_of, text
from agent.topology.pods import containers

_ADDRESS = re.compile(r"(?:tcp|udp)://(\d{1,3}(?:\.\d{1,3}){3}):(\d{1,5})", re.I)

_NO_NUMBER = re.compile(r"invalid|\bpars(?:e|ing)\b|convert|numberformat|not a (?:valid )?(?:number|integer)|valueerror", re.I)


@check("service-variable-collides", weight=0.93)
def takes_a_link_for_its_own(topology: Topology) -> Iterator[Finding]:
    """A program stumbles over tcp://<address>:<port> where it wants a number, and a Service of its namespace is called as its
    variable is (<NAME>_PORT). Source: Kubernetes, "Accessing the Service", environment variables."""
    for one in told(topology, _ADDRESS, ("tcp://", "udp://")):
        spec = pod_spec_of(topology.objects.get(one.unit, {}))
        if not spec or at(spec, "enableServiceLinks") is False:
            continue
        own = {text(entry, "name") for box in containers(spec) for entry in items(box, "env")}
        line = one.last.text
        for service in topology.in_namespace("Service", one.unit.namespace):
            variable = f"{name_of(service).upper().replace('-', '_')}_PORT"
            by_name = re.search(rf"\b{variable}\b", line) is not None
            by_address = text(service, "spec", "clusterIP") == one.match[1] and _NO_NUMBER.search(line)
            if variable in own or is_quiet(line) or not (by_name or by_address):
                continue
            ref = ref_of(service)
            yield Finding(
                cause="service-variable-collides",
                subject=one.unit,
                since=one.first.at,
                params={"variable": variable, "service": name_of(service)},
                quotes=(
                    *one.quotes[-1:],
                    quote_field(Ref("Service", ref.namespace, ref.name), "name", f"gives every pod {variable}"),
                ),
                statement=f"{one.unit} takes {variable} for a setting of its own, but Kubernetes fills it with the address of"
                f" {ref} ({one.match[0]}), as it does for every Service of the namespace: enableServiceLinks: false, or another"
                " name of the variable or the Service, ends that.",
            )
            break

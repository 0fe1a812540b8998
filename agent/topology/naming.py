"""Names in objects that tell whose cluster it is. Pure."""

from collections.abc import Iterator, Sequence

from agent.domain.objects import Manifest
from agent.topology.fields import items, mapping, name_of, namespace_of, text


def names_in(objects: Sequence[Manifest]) -> Iterator[str]:
    """Names that tell whose cluster it is: of objects, namespaces, containers, accounts, hosts and image repositories."""
    for one in objects:
        if text(one, "kind") == "Event":
            continue
        yield name_of(one)
        yield namespace_of(one)
        spec = mapping(one, "spec", "template", "spec") or mapping(one, "spec")
        yield text(spec, "serviceAccountName")
        for container in (*items(spec, "containers"), *items(spec, "initContainers")):
            yield text(container, "name")
            yield text(container, "image").rpartition(":")[0]
        yield from (text(rule, "host") for rule in items(spec, "rules"))

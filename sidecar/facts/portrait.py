"""One live object, and what can be told from it alone: each thing is worked out when it is first asked for. Pure.

A portrait is kept with the look that it is of (sidecar.ports.ApiAnswer.drawn), and gone with it: it is never older than what
it shows. Nobody changes what it gives. It must know no plan.
"""

from functools import cached_property

from sidecar.contract import Json
from sidecar.facts.demand import Demand, demand_of, replicas_of
from sidecar.facts.fields import found_at, managers_of
from sidecar.facts.naming import WORKLOADS, referred
from sidecar.facts.ownership import gitops_of, helm_of
from sidecar.facts.projection import Document, documents, mapping, number, own_facts, pod_labels, segments_of, text

Identity = tuple[str, str, str]


class Portrait:
    """`live` empty: there is no such object, or it is not looked at."""

    def __init__(self, live: Document) -> None:
        self.live = live
        self._places: dict[str, tuple[Json, str]] = {}
        self._hands: dict[str, list[Json]] = {}

    def at(self, pointer: str) -> tuple[Json, str]:
        """See sidecar.facts.fields.found_at."""
        found = self._places.get(pointer)
        if found is None:
            found = found_at(self.live, segments_of(pointer))
            if self.live:  # NOWHERE lasts as long as the process
                self._places[pointer] = found
        return found

    def managers(self, pointer: str) -> list[Json]:
        """See sidecar.facts.fields.managers_of."""
        found = self._hands.get(pointer)
        if found is None:
            found = managers_of(self.live, segments_of(pointer))
            if self.live:
                self._hands[pointer] = found
        return found

    @cached_property
    def identity(self) -> Identity:
        """Kind, name and uid."""
        metadata = mapping(self.live, "metadata")
        return text(self.live, "kind"), text(metadata, "name"), text(metadata, "uid")

    @cached_property
    def labels(self) -> Document:
        """Those of its pods."""
        return pod_labels(self.live)

    @cached_property
    def referred(self) -> frozenset[tuple[str, str]]:
        """Kind and name of everything that it names."""
        return frozenset(referred(self.live))

    @cached_property
    def controller(self) -> Document | None:
        """The reference to what stands above it."""
        references = documents(mapping(self.live, "metadata").get("ownerReferences"))
        return next((item for item in references if item.get("controller") is True), None)

    @cached_property
    def replicas(self) -> int | None:
        return replicas_of(self.live)

    @cached_property
    def demand(self) -> Demand | None:
        """What its pods request of the cluster; None where that cannot be told of it alone."""
        return demand_of(self.live)

    @cached_property
    def is_counted(self) -> bool:
        """Whether it is a workload with a number of pods."""
        return self.live.get("kind") in WORKLOADS and self.replicas is not None

    @cached_property
    def strength(self) -> Document:
        """How many pods it is to have, and how many are ready."""
        ready = "numberReady" if self.live.get("kind") == "DaemonSet" else "readyReplicas"
        return {"replicas": self.replicas, "ready": number(mapping(self.live, "status"), ready) or 0}

    @cached_property
    def gitops(self) -> Document | None:
        return gitops_of(self.live)

    @cached_property
    def helm(self) -> Document | None:
        return helm_of(self.live)

    @cached_property
    def reference(self) -> Document:
        """How it is named as the owner of another."""
        kind, name, uid = self.identity
        return {"api_version": text(self.live, "apiVersion"), "kind": kind, "name": name, "uid": uid}

    @cached_property
    def items(self) -> list[Document]:
        """Of a list: what is in it; the API server does not say of each what it is."""
        kind = text(self.live, "kind").removesuffix("List")
        return [{"apiVersion": self.live.get("apiVersion"), "kind": kind, **item} for item in documents(self.live.get("items"))]

    @cached_property
    def facts(self) -> Document:
        return own_facts(self.live)


NOWHERE = Portrait({})

"""The cluster as a graph of objects and what refers to what. Pure; knows no check and no vendor."""

from agent.topology.building import build
from agent.topology.events import Happening
from agent.topology.graph import Edge, Topology
from agent.topology.references import Named, pod_spec_of

__all__ = ["Edge", "Happening", "Named", "Topology", "build", "pod_spec_of"]

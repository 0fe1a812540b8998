"""The world of the laboratory: scheduler, kubelets and controllers over the store, in lab time, with scripted faults."""

from lab.world.cluster import Admit, Cluster, Refused
from lab.world.engine import World

__all__ = ["Admit", "Cluster", "Refused", "World"]

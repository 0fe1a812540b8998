"""What the judge looks up itself, so that nothing is taken from the agent's word. Knows the cluster port, no policy."""

from sidecar.facts.finder import ClusterFacts

__all__ = ["ClusterFacts"]

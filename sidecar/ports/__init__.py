"""What the gate needs of the world, as protocols. Adapters are the siblings above; fakes live in tests/fakes."""

from sidecar.ports.cluster import ApiAnswer, ApiCall, Cluster, Credential
from sidecar.ports.judging import FactFinder, Facts, History, Judge

__all__ = ["ApiAnswer", "ApiCall", "Cluster", "Credential", "FactFinder", "Facts", "History", "Judge"]

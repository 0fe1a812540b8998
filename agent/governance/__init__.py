"""The agent's way to the sidecar."""

from agent.governance.client import SidecarClient
from agent.governance.patience import PatientGovernance

__all__ = ["PatientGovernance", "SidecarClient"]

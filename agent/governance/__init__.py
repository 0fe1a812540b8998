"""The agent's way to the sidecar."""

from agent.governance.client import SidecarClient
from agent.governance.patience import Patience, PatientGovernance, PatientReader

__all__ = ["Patience", "PatientGovernance", "PatientReader", "SidecarClient"]

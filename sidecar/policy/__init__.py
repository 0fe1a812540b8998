"""Business rules in Rego, and the engines that answer by them. Knows the ports and the contract, nothing of the gate."""

from pathlib import Path

from sidecar.policy.bundle import PolicyBundle, load, policies_folder
from sidecar.policy.current import CurrentPolicy
from sidecar.policy.judge import RegoJudge
from sidecar.policy.source import PolicySource
from sidecar.policy.watch import PolicyWatch

__all__ = [
    "CurrentPolicy",
    "PolicyBundle",
    "PolicySource",
    "PolicyWatch",
    "RegoJudge",
    "load",
    "open_judge",
    "policies_folder",
]


def open_judge(*, directory: Path | None = None, overlay: Path | None = None, opa_url: str | None = None) -> RegoJudge:
    """A judge by the bundle at `directory` (the product's own where none is named), with the overlay's data and rules over
    it; on the OPA server at `opa_url`, else on the embedded engine.

    Raises BundleRefused when the bundle is not fit to judge by, SettingsError for an address that is none. The OPA server
    need not be there yet: until it is, every verdict is a denial.
    """
    return PolicySource.of(directory, overlay, opa_url or "").admitted(wait=False).judge

"""Business rules in Rego, and the engines that answer by them. Knows the ports and the contract, nothing of the gate."""

from pathlib import Path

from sidecar.policy.bundle import PolicyBundle, load
from sidecar.policy.embedded import EmbeddedEngine
from sidecar.policy.judge import RegoJudge

__all__ = ["PolicyBundle", "RegoJudge", "load", "open_judge"]


def open_judge(*, directory: Path, overlay: Path | None = None, opa_url: str | None = None) -> RegoJudge:
    """A judge by the bundle at `directory`. Raises BundleRefused when it is not fit to judge by."""
    bundle = load(directory, overlay)
    return RegoJudge(EmbeddedEngine(bundle), zones=bundle.zones)

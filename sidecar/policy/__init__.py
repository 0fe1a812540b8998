"""Business rules in Rego, and the engines that answer by them. Knows the ports and the contract, nothing of the gate."""

from importlib.resources import files
from pathlib import Path

from sidecar.errors import SettingsError
from sidecar.policy.bundle import PolicyBundle, load
from sidecar.policy.embedded import EmbeddedEngine
from sidecar.policy.judge import RegoJudge

__all__ = ["PolicyBundle", "RegoJudge", "load", "open_judge", "policies_folder"]


def policies_folder() -> Path:
    """The rules that come with the product: from an installed wheel, or from the checkout. Raises SettingsError."""
    package = Path(str(files("sidecar")))
    for folder in (package / "_data" / "policies", package.parent / "policies"):
        if (folder / "remediation" / "decision.rego").is_file():
            return folder
    raise SettingsError("no policies were found beside the program: name a folder with LESTRADE_SIDECAR_POLICIES")


def open_judge(*, directory: Path, overlay: Path | None = None, opa_url: str | None = None) -> RegoJudge:
    """A judge by the bundle at `directory`. Raises BundleRefused when it is not fit to judge by."""
    bundle = load(directory, overlay)
    return RegoJudge(EmbeddedEngine(bundle), zones=bundle.zones)

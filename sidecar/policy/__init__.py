"""Business rules in Rego, and the engines that answer by them. Knows the ports and the contract, nothing of the gate."""

from pathlib import Path

from sidecar.policy.admission import admit
from sidecar.policy.bundle import PolicyBundle, load, policies_folder
from sidecar.policy.judge import RegoJudge

__all__ = ["PolicyBundle", "RegoJudge", "load", "open_judge", "policies_folder"]


def open_judge(*, directory: Path | None = None, overlay: Path | None = None, opa_url: str | None = None) -> RegoJudge:
    """A judge by the bundle at `directory` (the product's own where none is named), with the overlay's data and rules over
    it; on the OPA server at `opa_url`, else on the embedded engine.

    Raises BundleRefused when the bundle is not fit to judge by, SettingsError for an address that is none. The OPA server
    need not be there yet: until it is, every verdict is a denial.
    """
    bundle, engine = admit(directory or policies_folder(), overlay)
    if not opa_url:
        return RegoJudge(engine, zones=bundle.zones)
    engine.close()
    from sidecar.policy.opa import OpaEngine  # noqa: PLC0415  two HTTP clients that only this way needs

    server = OpaEngine(bundle, opa_url)
    server.prepare()
    return RegoJudge(server, zones=bundle.zones)

"""Where the bundle comes from, as the settings say: what lies there now, and a judge by it. Knows no record."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.contract import Json
from sidecar.errors import BundleRefused, PolicyUnavailable, SettingsError
from sidecar.policy.admission import admit
from sidecar.policy.bundle import PolicyBundle, files_in, policies_folder
from sidecar.policy.current import Admitted
from sidecar.policy.engine import Engine
from sidecar.policy.judge import RegoJudge
from sidecar.policy.portrait import portrait_of
from sidecar.policy.signature import key_from
from sidecar.secret_files import Secret

_ALSO = (".signatures.json", ".manifest", "admitted.txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySource:
    """`directory`: the bundle; `overlay`: what is laid over it; `opa_url`: the server to judge on, "" for the embedded
    engine; `key_file`: the public key that both must be signed with, None where they need not be signed;
    `opa_token`: what the server knows the sidecar by, where it asks."""

    directory: Path
    overlay: Path | None = None
    opa_url: str = ""
    key_file: Path | None = None
    opa_token: Secret | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        directory: Path | None,
        overlay: Path | None,
        opa_url: str,
        key_file: Path | None = None,
        opa_token: Secret | None = None,
    ) -> "PolicySource":
        """Raises SettingsError for what can never be a source: a mistyped path should not pass for a refused bundle."""
        chosen = directory or policies_folder()
        if not chosen.is_dir():
            raise SettingsError(f"no policy bundle at {chosen}: it is not a directory")
        if overlay is not None and not overlay.exists():
            raise SettingsError(f"no policy overlay at {overlay}")
        if opa_url:
            from sidecar.policy.opa import check_address  # noqa: PLC0415  two HTTP clients that only this way needs

            check_address(opa_url)
        if key_file is not None:
            key_from(key_file)
        return cls(directory=chosen, overlay=overlay, opa_url=opa_url, key_file=key_file, opa_token=opa_token)

    def fingerprint(self) -> str:
        """Another one after every change of a file that counts, by the file system's word: nothing is read."""
        digest = hashlib.sha256()
        for place in (self.directory, self.overlay, self.key_file):
            digest.update(_state_of(place).encode())
        return digest.hexdigest()

    def admitted(self, *, wait: bool = True) -> Admitted:
        """Raises BundleRefused when the bundle is not fit to judge by, or the OPA server does not take it. A server that
        cannot be reached is said in `unreached`: until it is there, every verdict of this judge is a denial. So it is while
        the rules are put there in the background (not `wait`): OPA compiles all of them anew for each, which takes seconds.
        """
        try:
            key = key_from(self.key_file) if self.key_file is not None else None
        except SettingsError as exc:
            raise BundleRefused(str(exc)) from exc
        bundle, engine = admit(self.directory, self.overlay, key=key)
        if not self.opa_url:
            return _admitted(bundle, engine, "embedded")
        engine.close()
        from sidecar.policy.opa import OpaEngine  # noqa: PLC0415  as above

        server = OpaEngine(bundle, self.opa_url, token=self.opa_token)
        if not wait:
            server.prepare()
            return _admitted(bundle, server, "opa")
        try:
            server.load()
        except PolicyUnavailable as exc:
            return _admitted(bundle, server, "opa", unreached=str(exc))
        return _admitted(bundle, server, "opa")


def _admitted(bundle: PolicyBundle, engine: Engine, name: str, unreached: str = "") -> Admitted:
    return Admitted(
        judge=RegoJudge(engine, zones=bundle.zones, unread=bundle.unread),
        engine=name,
        version=bundle.signed.version if bundle.signed is not None else None,
        signed_by=bundle.signed.by if bundle.signed is not None else "",
        unreached=unreached,
        reading=_reading(bundle.data),
        portrait=portrait_of(bundle),
    )


def _reading(data: dict[str, Json]) -> Json:
    """What the platform team says about reading."""
    platform = data.get("platform")
    return platform.get("reading") if isinstance(platform, dict) else None


def _state_of(place: Path | None) -> str:
    if place is None:
        return "-"
    try:
        if not place.is_dir():
            return _stat(place)
        files = [*files_in(place), *((name, place / name) for name in _ALSO if (place / name).exists())]
        return "\n".join(f"{relative} {_stat(path)}" for relative, path in files)
    except (OSError, BundleRefused) as exc:
        return f"unreadable: {type(exc).__name__}"


def _stat(path: Path) -> str:
    found = path.stat()
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"

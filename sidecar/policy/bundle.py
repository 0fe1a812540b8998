"""A policy bundle as files: modules, data, cases; and its revision. It must know no engine.

A bundle is a directory: every `*.rego` below it, `platform/data.yaml`, `*_cases.yaml` beside the rules, and
`cases/*.yaml`, the documents that the cases edit. An overlay is a data file, or a directory of the same layout, laid over
it: its modules are added (and replace those of the same path), its data is merged key by key, lists replaced. The cases of
a bundle hold for the bundle as it is, so those that lie below an overlay are not the whole's any more; the overlay's own are.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from sidecar.contract import Json, MalformedMessage, canonical
from sidecar.errors import BundleRefused, SettingsError
from sidecar.policy import unread, yaml_text
from sidecar.policy.platform import Platform
from sidecar.policy.signature import MANIFEST, SIGNATURES, Signed, SigningKey, verified

DATA = "platform/data.yaml"
MOST_BYTES = 4_194_304
_MOST_FILES = 5_000
_DEEPEST = 12
_OF_A_SIGNATURE = frozenset({SIGNATURES, MANIFEST})


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyBundle:
    """`raw_data` is what the files say, `data` what the rules see; `unread`: facts that they do not. `revision`: SHA-256 over
    modules, data and `unread` in canonical form; cases and their documents do not count, they change no verdict. `signed`: by
    whom, where a key was named."""

    modules: tuple[tuple[str, str], ...]
    raw_data: dict[str, Json]
    data: dict[str, Json]
    zones: tuple[str, ...]
    unread: frozenset[str]
    cases: tuple[tuple[str, Json], ...]
    documents: dict[str, Json]
    revision: str
    signed: Signed | None = None


def policies_folder() -> Path:
    """The rules that come with the product: from an installed wheel, or from the checkout. Raises SettingsError."""
    package = Path(str(files("sidecar")))
    for folder in (package / "_data" / "policies", package.parent / "policies"):
        if (folder / "remediation" / "decision.rego").is_file():
            return folder
    raise SettingsError("no policies were found beside the program: name a folder with LESTRADE_SIDECAR_POLICIES")


def load(directory: Path, overlay: Path | None = None, *, key: SigningKey | None = None) -> PolicyBundle:
    """Raises BundleRefused, in one line, for what cannot be read as a bundle; where a key is named, also for everything
    that is not signed by it."""
    if directory.is_dir() and not (directory / DATA).is_file():  # before anything is read: it may be any folder, and large
        raise BundleRefused(f"no policy bundle at {directory}: it has no {DATA}")
    texts, signed = _read(directory, key)
    if DATA not in texts:
        raise BundleRefused(f"no policy bundle at {directory}: it has no {DATA}")
    raw_data = _mapping(DATA, texts[DATA])
    with_cases = texts
    if overlay is not None:
        with_cases, raw_data = _laid_over(raw_data, overlay, key)
        texts = {**texts, **with_cases}
    modules = tuple((path, text) for path, text in sorted(texts.items()) if path.endswith(".rego"))
    if not any(path.startswith("remediation/") for path, _ in modules):
        raise BundleRefused(f"no rules in {directory}: a bundle has a file remediation/decision.rego")
    cases = tuple((path, yaml_text.read(path, text)) for path, text in sorted(with_cases.items()) if path.endswith("_cases.yaml"))
    documents = {
        path.removeprefix("cases/").removesuffix(".yaml"): yaml_text.read(path, text)
        for path, text in texts.items()
        if path.startswith("cases/") and path.endswith(".yaml")
    }
    return replace(assemble(modules, raw_data, cases=cases, documents=documents), signed=signed)


def assemble(
    modules: tuple[tuple[str, str], ...],
    raw_data: dict[str, Json],
    *,
    cases: tuple[tuple[str, Json], ...] = (),
    documents: dict[str, Json] | None = None,
) -> PolicyBundle:
    """A bundle of these parts; `raw_data` as in the file. Raises BundleRefused when the data is not of its shape, or says of a
    fact that no rule reads it where one does."""
    platform = _platform(raw_data)
    data: dict[str, Json] = {"platform": platform.document()}
    left_out = frozenset(platform.facts.unread)
    unread.check(modules, raw_data.get("custom"), left_out)
    try:
        told: dict[str, Json] = {"unread": [*sorted(left_out)]} if left_out else {}
        content = canonical({"modules": dict(modules), "data": data, **told})
    except MalformedMessage as exc:
        raise BundleRefused(f"{DATA}: {exc}") from exc
    return PolicyBundle(
        modules=modules,
        raw_data=raw_data,
        data=data,
        zones=platform.zones(),
        unread=left_out,
        cases=cases,
        documents=documents or {},
        revision=hashlib.sha256(content).hexdigest(),
    )


def merged(under: dict[str, Json], over: dict[str, Json]) -> dict[str, Json]:
    """Mappings key by key; everything else, lists too, is replaced."""
    result = dict(under)
    for key, value in over.items():
        before = result.get(key)
        result[key] = merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return result


def _laid_over(raw_data: dict[str, Json], overlay: Path, key: SigningKey | None) -> tuple[dict[str, str], dict[str, Json]]:
    """The overlay's texts, and the data with the overlay's over it."""
    if overlay.is_dir():
        texts, _ = _read(overlay, key)
        return texts, merged(raw_data, _mapping(DATA, texts[DATA])) if DATA in texts else raw_data
    if key is not None:
        raise BundleRefused(f"the overlay {overlay} is not signed: make it a folder with {DATA}, and sign that")
    if overlay.is_file():
        text = _text(overlay.name, _bytes(overlay))
        return {}, merged(raw_data, _mapping(overlay.name, text)) if text.strip() else raw_data
    raise BundleRefused(f"no policy overlay at {overlay}")


def _read(directory: Path, key: SigningKey | None) -> tuple[dict[str, str], Signed | None]:
    """Texts by path below the directory. What is verified is what is used: every file is read once."""
    if not directory.is_dir():
        raise BundleRefused(f"no policy bundle at {directory}: it is not a directory")
    contents: dict[str, bytes] = {}
    total = 0
    for relative, path in files_in(directory, everything=key is not None):
        contents[relative] = _bytes(path)
        total += len(contents[relative])
        if total > MOST_BYTES:
            raise BundleRefused(f"the bundle at {directory} is larger than {MOST_BYTES} bytes")
    signed = verified(contents, key) if key is not None else None
    return {name: _text(name, content) for name, content in contents.items() if _counts(name)}, signed


def files_in(directory: Path, *, everything: bool = False) -> Iterator[tuple[str, Path]]:
    """Path below the directory, and the file, in order: those that a bundle is read from, or `everything` that is there.
    Symbolic links to files and to folders (as Kubernetes mounts them) are followed; hidden names are not, but for those
    that belong to a signature. Raises BundleRefused for a folder without end."""
    count = 0
    for folder, below, names in os.walk(directory, followlinks=True):
        below[:] = sorted(name for name in below if not name.startswith("."))
        relative = Path(folder).relative_to(directory)
        count += len(names)
        if count > _MOST_FILES or len(relative.parts) > _DEEPEST:
            raise BundleRefused(f"{directory} is no policy bundle: it has too many files, or goes round in a circle")
        for name in sorted(names):
            path = Path(folder, name)
            shown = not name.startswith(".") or (everything and name in _OF_A_SIGNATURE)
            if shown and (everything or _counts(name)) and path.is_file():
                yield (relative / name).as_posix(), path


def _counts(name: str) -> bool:
    return name.endswith((".rego", ".yaml")) and not name.rpartition("/")[2].startswith(".")


def _bytes(path: Path) -> bytes:
    """No more of it than a bundle may have altogether."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as exc:
        raise BundleRefused(f"cannot read {path}: {exc.strerror or exc}") from exc
    if len(content) > MOST_BYTES:
        raise BundleRefused(f"{path} is larger than {MOST_BYTES} bytes")
    return content


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise BundleRefused(f"{name} is not UTF-8") from exc


def _mapping(path: str, text: str) -> dict[str, Json]:
    value = yaml_text.read(path, text)
    if not isinstance(value, dict):
        raise BundleRefused(f"{path}: not a mapping")
    return value


def _platform(raw: dict[str, Json]) -> Platform:
    try:
        return Platform.model_validate(raw)
    except ValidationError as exc:
        # Of the ways in which a choice does not fit, the one that got furthest is what was meant.
        fault = max(exc.errors(include_input=False, include_url=False), key=lambda error: len(error["loc"]))
        where = ".".join(str(part) for part in fault["loc"]) or "the whole"
        raise BundleRefused(f"{DATA}: {where}: {fault['msg']}") from None

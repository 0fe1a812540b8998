"""A policy bundle as files: modules, data, cases; and its revision. It must know no engine.

A bundle is a directory: every `*.rego` below it, `platform/data.yaml`, `*_cases.yaml` beside the rules, and
`cases/*.yaml`, the documents that the cases edit. An overlay is a data file, or a directory of the same layout, laid over
it: its modules are added (and replace those of the same path), its data is merged key by key, lists replaced. The cases of
a bundle hold for the bundle as it is, so those that lie below an overlay are not the whole's any more; the overlay's own are.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import yaml
from pydantic import ValidationError

from sidecar.contract import Json, MalformedMessage, canonical
from sidecar.errors import BundleRefused, SettingsError
from sidecar.policy.platform import Platform

DATA = "platform/data.yaml"
MOST_BYTES = 4_194_304
_MOST_FILES = 5_000
_DEEPEST = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyBundle:
    """`raw_data` is what the files say, `data` what the rules see. `revision`: SHA-256 over modules and data in canonical
    form; cases and their documents do not count, they change no verdict."""

    modules: tuple[tuple[str, str], ...]
    raw_data: dict[str, Json]
    data: dict[str, Json]
    zones: tuple[str, ...]
    cases: tuple[tuple[str, Json], ...]
    documents: dict[str, Json]
    revision: str


def policies_folder() -> Path:
    """The rules that come with the product: from an installed wheel, or from the checkout. Raises SettingsError."""
    package = Path(str(files("sidecar")))
    for folder in (package / "_data" / "policies", package.parent / "policies"):
        if (folder / "remediation" / "decision.rego").is_file():
            return folder
    raise SettingsError("no policies were found beside the program: name a folder with LESTRADE_SIDECAR_POLICIES")


def load(directory: Path, overlay: Path | None = None) -> PolicyBundle:
    """Raises BundleRefused, in one line, for what cannot be read as a bundle."""
    if not directory.is_dir():
        raise BundleRefused(f"no policy bundle at {directory}: it is not a directory")
    texts = dict(_files(directory))
    raw_data = _mapping(DATA, texts.get(DATA))
    with_cases = texts
    if overlay is not None:
        with_cases, raw_data = _laid_over(raw_data, overlay)
        texts = {**texts, **with_cases}
    modules = tuple((path, text) for path, text in sorted(texts.items()) if path.endswith(".rego"))
    if not any(path.startswith("remediation/") for path, _ in modules):
        raise BundleRefused(f"no rules in {directory}: a bundle has a file remediation/decision.rego")
    cases = tuple((path, _yaml(path, text)) for path, text in sorted(with_cases.items()) if path.endswith("_cases.yaml"))
    documents = {
        path.removeprefix("cases/").removesuffix(".yaml"): _yaml(path, text)
        for path, text in texts.items()
        if path.startswith("cases/") and path.endswith(".yaml")
    }
    return assemble(modules, raw_data, cases=cases, documents=documents)


def assemble(
    modules: tuple[tuple[str, str], ...],
    raw_data: dict[str, Json],
    *,
    cases: tuple[tuple[str, Json], ...] = (),
    documents: dict[str, Json] | None = None,
) -> PolicyBundle:
    """A bundle of these parts; `raw_data` as in the file. Raises BundleRefused when the data is not of its shape."""
    platform = _platform(raw_data)
    data: dict[str, Json] = {"platform": platform.document()}
    try:
        content = canonical({"modules": dict(modules), "data": data})
    except MalformedMessage as exc:
        raise BundleRefused(f"{DATA}: {exc}") from exc
    return PolicyBundle(
        modules=modules,
        raw_data=raw_data,
        data=data,
        zones=platform.zones(),
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


def _laid_over(raw_data: dict[str, Json], overlay: Path) -> tuple[dict[str, str], dict[str, Json]]:
    """The overlay's texts, and the data with the overlay's over it."""
    if overlay.is_dir():
        texts = dict(_files(overlay))
        return texts, merged(raw_data, _mapping(DATA, texts[DATA])) if DATA in texts else raw_data
    if overlay.is_file():
        try:
            text = overlay.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise BundleRefused(f"cannot read {overlay}: {exc}") from exc
        return {}, merged(raw_data, _mapping(overlay.name, text)) if text.strip() else raw_data
    raise BundleRefused(f"no policy overlay at {overlay}")


def files_in(directory: Path) -> Iterator[tuple[str, Path]]:
    """Path below the directory, and the file, in order. Symbolic links to files and to folders (as Kubernetes mounts them)
    are followed; hidden names are not. Raises BundleRefused for a folder without end."""
    count = 0
    for folder, below, names in os.walk(directory, followlinks=True):
        below[:] = sorted(name for name in below if not name.startswith("."))
        relative = Path(folder).relative_to(directory)
        count += len(names)
        if count > _MOST_FILES or len(relative.parts) > _DEEPEST:
            raise BundleRefused(f"the bundle at {directory} has too many files, or goes round in a circle")
        for name in sorted(names):
            path = Path(folder, name)
            if not name.startswith(".") and path.suffix in {".rego", ".yaml"} and path.is_file():
                yield (relative / name).as_posix(), path


def _files(directory: Path) -> Iterator[tuple[str, str]]:
    """Path below the directory, and text."""
    total = 0
    for relative, path in files_in(directory):
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise BundleRefused(f"cannot read {path}: {exc}") from exc
        total += len(text)
        if total > MOST_BYTES:
            raise BundleRefused(f"the bundle at {directory} is larger than {MOST_BYTES} characters")
        yield relative, text


def _mapping(path: str, text: str | None) -> dict[str, Json]:
    if text is None:
        raise BundleRefused(f"the bundle has no {path}")
    value = _yaml(path, text)
    if not isinstance(value, dict):
        raise BundleRefused(f"{path}: not a mapping")
    return value


def _yaml(path: str, text: str) -> Json:
    try:
        value: Json = yaml.load(text, Loader=_Loader)  # noqa: S506  a SafeLoader that refuses a key given twice
    except yaml.YAMLError as exc:
        raise BundleRefused(f"{path}: not YAML: {' '.join(str(exc).split())[:200]}") from exc
    return value


def _platform(raw: dict[str, Json]) -> Platform:
    try:
        return Platform.model_validate(raw)
    except ValidationError as exc:
        # Of the ways in which a choice does not fit, the one that got furthest is what was meant.
        fault = max(exc.errors(include_input=False, include_url=False), key=lambda error: len(error["loc"]))
        where = ".".join(str(part) for part in fault["loc"]) or "the whole"
        raise BundleRefused(f"{DATA}: {where}: {fault['msg']}") from None


class _Loader(yaml.CSafeLoader):
    """Written in C, as PyYAML's wheels have it. No timestamps (they stay texts), and no key twice: the second would win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True) if key_node.tag != "tag:yaml.org,2002:merge" else None
            if key is not None and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return dict(super().construct_mapping(node, deep))


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

"""The library: pages that come with Lestrade, and a folder of one's own laid over them.

Every page is <area>/<cause>.md in its folder.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from agent.domain.finding import Finding
from agent.domain.runbook import Page
from agent.errors import InputError
from agent.runbooks.conditions import compile_condition
from agent.runbooks.documents import document_of
from agent.runbooks.reading import FINDING, read_page


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """All pages by slug: of causes, and of investigations."""

    pages: Mapping[str, Page]

    def page(self, cause: str) -> Page | None:
        """The cause's own page."""
        found = self.pages.get(cause)
        return found if found is not None and not found.is_investigation else None

    def for_finding(self, finding: Finding) -> Page | None:
        """The page to follow. One whose `when` singles this finding out goes before the cause's own; of several the first by
        name. A page whose `when` does not hold is not followed."""
        document = {"finding": document_of(finding)}
        own = self.page(finding.cause)
        special = [
            page for page in self.pages.values() if page is not own and not page.is_investigation and not _is_default(page)
        ]
        for page in sorted(special, key=lambda one: one.cause):
            if compile_condition(page.when, FINDING).holds(document):
                return page
        return own if own is not None and compile_condition(own.when, FINDING).holds(document) else None

    def for_alert(self, name: str) -> tuple[Page, ...]:
        """Pages that name the alert: investigations first, because they say which of the causes to look for."""
        named = [page for _, page in sorted(self.pages.items()) if name in page.alerts]
        return tuple(sorted(named, key=lambda page: not page.is_investigation))


def _is_default(page: Page) -> bool:
    return page.when == f'finding.cause == "{page.cause}"'


def shipped_folder() -> Path:
    """The wheel's data, else the checkout's folder. Raises InputError when there is none."""
    package = Path(str(files("agent")))
    for folder in (package / "_data" / "runbooks", package.parent / "runbooks"):
        if folder.is_dir():
            return folder
    raise InputError(f"{package.parent / 'runbooks'}: no such folder of runbooks: the installation is not complete")


def own_folder(folder: Path | None = None) -> Path | None:
    """The folder given, else LESTRADE_RUNBOOKS; None when there is none of one's own. Raises InputError when it is not there."""
    named = str(folder) if folder is not None else os.environ.get("LESTRADE_RUNBOOKS", "")
    if not named:
        return None
    chosen = Path(named)
    if not chosen.is_dir():
        raise InputError(f"{chosen}: no such folder of runbooks (set LESTRADE_RUNBOOKS, or give another)")
    return None if chosen.resolve() == shipped_folder().resolve() else chosen


def load_library(folder: Path | None = None) -> Library:
    """The shipped pages, and those of `folder` (or LESTRADE_RUNBOOKS) laid over them: a page of the same name replaces the
    shipped one. Raises InputError for the first page that is wrong."""
    library, faults = read_library(folder)
    if faults:
        more = f" (and {len(faults) - 1} more: see `lestrade runbooks lint`)" if len(faults) > 1 else ""
        raise InputError(f"{faults[0]}{more}")
    return library


def load_own_causes(folder: Path | None = None) -> Library:
    """The pages that look for causes of their own, and no others: most of the shipped ones only say what to do, and need not be
    understood for that. Of `folder` (or LESTRADE_RUNBOOKS) every page is read. Raises InputError as `load_library` does."""
    own = own_folder(folder)
    pages, faults = _read(shipped_folder(), "runbooks/", those=_detects)
    ours, more = _read(own, "") if own is not None else ({}, [])
    if faults or more:
        return load_library(folder)  # which says what is wrong
    return Library(pages={**{name: page for name, page in pages.items() if name not in ours}, **ours})


def _detects(path: Path) -> bool:
    return b"\ndetect:" in path.read_bytes()


def read_library(folder: Path | None = None) -> tuple[Library, list[str]]:
    """The pages that can be used, and a line for each that cannot. Raises InputError when there is no folder to read."""
    shipped, own = shipped_folder(), own_folder(folder)
    pages, faults = _read(shipped, "runbooks/")
    if own is not None:
        ours, more = _read(own, "")
        pages, faults = {**pages, **ours}, [*faults, *more]
    return Library(pages=pages), faults


def _read(folder: Path, prefix: str, those: Callable[[Path], bool] = lambda path: True) -> tuple[dict[str, Page], list[str]]:
    pages: dict[str, Page] = {}
    faults: list[str] = []
    paths = sorted(folder.glob("*/*.md"))
    for path in filter(those, paths):
        name = f"{prefix}{path.parent.name}/{path.name}" if prefix else str(path)
        try:
            page = _as_it_is(path, name, path.stat().st_mtime_ns)
        except InputError as exc:
            faults.append(str(exc))
            continue
        if page.cause in pages:
            faults.append(f"{path}:1: {page.cause} has a page already: {pages[page.cause].path}")
        else:
            pages[page.cause] = page
    faults += [f"{path}:1: a page lies in a folder of its area: {folder.name}/<area>/{path.name}" for path in _astray(folder)]
    if not paths and not faults:
        faults.append(f"{folder}: no runbook pages (<area>/<cause>.md) in it")
    return pages, faults


@lru_cache(maxsize=2048)
def _as_it_is(path: Path, name: str, changed_ns: int) -> Page:
    """Read once for as long as the file is not changed."""
    return read_page(path, name)


def _astray(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.md")) if path.name.lower() != "readme.md"]

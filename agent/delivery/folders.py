"""Reports in folders: as plain files, or as Markdown with front matter under dates, ready for Git. Whole or not at all.

A name says which report it is: delivered twice, it is the same file. Nothing outside the folder is written; Git itself is not
run: whoever owns the repository commits.
"""

import asyncio
import contextlib
import fcntl
import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from agent.delivery.paper import Paper, Undeliverable
from agent.rendering import Format
from agent.rendering.markdown import text

MOST_LISTED = 2000
MOST_HEAD = 65_536  # characters of a report in which its front matter has to end
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # several times as fast, where PyYAML has it
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")


@dataclass(frozen=True, slots=True)
class Files:
    """`<folder>/<name>.<format>`."""

    folder: Path
    formats: tuple[Format, ...]

    async def deliver(self, paper: Paper) -> None:
        """Raises Undeliverable."""
        await asyncio.to_thread(self._write, paper)

    def _write(self, paper: Paper) -> None:
        with _told(self.folder):
            for form in self.formats:
                _replace(self.folder / f"{_safe(paper.name)}.{form}", paper.form(form))


@dataclass(frozen=True, slots=True)
class GitFolder:
    """`<folder>/reports/YYYY/MM/YYYY-MM-DD-<name>.md`, and `<folder>/reports/index.md` over all that is there."""

    folder: Path

    async def deliver(self, paper: Paper) -> None:
        """Raises Undeliverable."""
        await asyncio.to_thread(self._write, paper)

    def _write(self, paper: Paper) -> None:
        reports = self.folder / "reports"
        with _told(self.folder):
            path = reports / f"{paper.at:%Y}" / f"{paper.at:%m}" / f"{paper.at:%Y-%m-%d}-{_safe(paper.name)}.md"
            _replace(path, front_matter(paper) + paper.form("md"))
            with _alone(reports):  # another process may list at the same time
                _replace(reports / "index.md", index(reports))


def front_matter(paper: Paper) -> str:
    facts = {"title": paper.title, "date": f"{paper.at:%Y-%m-%dT%H:%M:%SZ}", "kind": paper.kind, **paper.facts}
    return f"---\n{yaml.safe_dump(facts, sort_keys=False, allow_unicode=True, width=1000)}---\n\n"


def index(reports: Path) -> str:
    """The reports of the folder, the newest first; what is no report of ours is passed over. Of very many only as many are read
    as are listed: names begin with the day."""
    paths = sorted(reports.glob("[0-9][0-9][0-9][0-9]/[0-9][0-9]/*.md"), key=lambda path: path.name, reverse=True)
    found = sorted(_listed(paths[:MOST_LISTED]), key=lambda entry: (entry[0], entry[1].name), reverse=True)
    lines = ["# Incident reports", ""]
    month = ""
    for date, path, facts in found:
        if date[:7] != month:
            lines += [""] if month else []
            month = date[:7]
            lines += [f"## {month}", "", "| opened | report | outcome | cause |", "| --- | --- | --- | --- |"]
        where = path.relative_to(reports).as_posix()
        cells = (date[:16].replace("T", " "), f"[{text(str(facts.get('title', path.stem)))}]({where})")
        more = (text(str(facts.get("outcome", ""))), text(str(facts.get("cause", ""))))
        lines.append(f"| {' | '.join((*cells, *more))} |")
    if len(paths) > MOST_LISTED:
        lines += ["", f"and {len(paths) - MOST_LISTED} older ones"]
    return "\n".join(lines) + "\n"


def _listed(paths: Sequence[Path]) -> Iterator[tuple[str, Path, Mapping[str, Any]]]:
    for path in paths:
        with contextlib.suppress(OSError, ValueError, RecursionError, yaml.YAMLError):
            with path.open(encoding="utf-8") as file:
                head = file.read(MOST_HEAD)
            matter, fence, _ = head.removeprefix("---\n").partition("\n---\n")  # a line of its own: words may end in dashes
            facts = _LOADER(matter).get_single_data() if fence and head.startswith("---\n") else None
            if isinstance(facts, dict) and "date" in facts:
                date = facts["date"]
                yield (date.strftime("%Y-%m-%dT%H:%M:%SZ") if hasattr(date, "strftime") else str(date)), path, facts


def _safe(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Undeliverable("its name is no name of a file", final=True)
    return name


def _replace(path: Path, content: str) -> None:
    """In one step: whoever reads sees the old or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """By a lock on the folder itself: no file of ours appears in somebody's repository."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise Undeliverable(f"{folder}: {exc.strerror or type(exc).__name__}") from None

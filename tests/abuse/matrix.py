"""Writes docs/owasp-agentic.md from the results of a test run: `python -m tests.abuse.matrix RESULTS.xml...` (JUnit, by pytest).

What is said of each risk is in matrix.yaml.
"""

import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import yaml

from tests.abuse.found import by_row
from tests.abuse.rows import NOT_APPLICABLE, RISKS, ROWS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "owasp-agentic.md"

TEXTS: dict[str, dict[str, str]] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))


def results(paths: Iterable[Path]) -> dict[str, Counter[str]]:
    """{function name: outcomes of its cases} from JUnit files; what a later file says of a function replaces what an earlier
    one said."""
    found: dict[str, Counter[str]] = {}
    for path in paths:
        found |= _of_one(path)
    return found


def _of_one(path: Path) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        outcome = "passed"
        for child in case:
            outcome = {"failure": "failed", "error": "failed", "skipped": "skipped"}.get(child.tag, outcome)
        found.setdefault(case.get("name", "").partition("[")[0], Counter())[outcome] += 1
    return found


def lines(outcomes: Mapping[str, Counter[str]]) -> Iterator[str]:
    tests = by_row()
    yield "# OWASP Top 10 for Agentic Applications (2026)"
    yield ""
    yield "Written by `make owasp` from the results of the tests it names; do not edit. Those in `tests/abuse` run the real"
    yield "sidecar process against the laboratory; those of `tests/cluster` run against a real API server, and are skipped where"
    yield "there is none. `make test-cluster` runs most of `tests/abuse` against a real one, too."
    for risk, name in RISKS.items():
        yield ""
        yield f"## {risk} {name}"
        yield ""
        yield TEXTS[risk]["done"]
        if "partial" in TEXTS[risk]:
            yield ""
            yield f"**Partial:** {TEXTS[risk]['partial']}"
        yield ""
        yield "| row | what is tried | tests |"
        yield "|---|---|---|"
        for row, (what, risks) in ROWS.items():
            if risk in risks:
                yield f"| {row} | {what} | {_cell(row, tests, outcomes)} |"


def _cell(row: str, tests: Mapping[str, list[str]], outcomes: Mapping[str, Counter[str]]) -> str:
    if row in NOT_APPLICABLE:
        return f"not applicable: {NOT_APPLICABLE[row]}"
    return "<br>".join(f"`{name}`: {_told(outcomes.get(name))}" for name in (test.partition("::")[2] for test in tests[row]))


def _told(outcome: Counter[str] | None) -> str:
    if not outcome:
        return "not run"
    return ", ".join(f"{outcome[word]} {word}" for word in ("passed", "failed", "skipped") if outcome[word])


def main() -> None:
    PAGE.write_text("\n".join(lines(results(map(Path, sys.argv[1:])))) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Which tests belong to which row: read from the sources, by the names of the functions, without running anything."""

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
_TEST = re.compile(r"^(?:async )?def (test_([A-F]\d{1,2})_\w+)\(", re.MULTILINE)


def by_row() -> dict[str, list[str]]:
    """{"C2": ["tests/abuse/test_slack.py::test_C2_...", ...]} over all of tests/, in the order of the files."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for name, row in _TEST.findall(path.read_text(encoding="utf-8")):
            found.setdefault(row, []).append(f"{path.relative_to(TESTS.parent)}::{name}")
    return found

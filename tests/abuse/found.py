"""Which tests belong to which row: read from the sources, by the names of the functions, without running anything."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
_NAME = re.compile(r"test_([A-F]\d{1,2})_\w+")


def by_row() -> dict[str, list[str]]:
    """{"C2": ["tests/abuse/test_slack.py::test_C2_...", ...]} over all of tests/, in the order of the files."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match = _NAME.fullmatch(node.name) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else None
            if match is not None:
                found.setdefault(match[1], []).append(f"{path.relative_to(TESTS.parent)}::{node.name}")
    return found

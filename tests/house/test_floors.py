"""The floors of the house hold, and the contracts that guard them really bite."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def lint(where: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    environment = {**os.environ, "PYTHONPATH": str(where)}
    return subprocess.run(
        [program, "--no-cache"], cwd=where, env=environment, capture_output=True, text=True, timeout=110, check=False
    )


ILLEGAL = [
    ("agent/domain/evidence.py", "import agent.graph", "the agent's floors"),
    ("agent/signals/__init__.py", "import agent.checks", "the agent's floors"),
    ("sidecar/policy/__init__.py", "import sidecar.facts", "the sidecar's floors"),
    ("sidecar/contract/refs.py", "import sidecar.errors", "the sidecar's floors"),
    ("sidecar/gate/__init__.py", "import agent.domain.evidence", "the sidecar knows nothing of the agent"),
    ("sidecar/app.py", "import langgraph", "the sidecar knows nothing of the agent"),
    ("agent/bootstrap.py", "import sidecar.gate", "of the sidecar the agent knows the contract only"),
    ("identity/tokens.py", "import sidecar.contract", "who people are"),
    ("lab/store.py", "import sidecar.contract", "the laboratory stands alone"),
    ("agent/stages/__init__.py", "import lab.store", "only the command line meets the laboratory"),
    ("agent/stages/__init__.py", "import langgraph", "each vendor has one door"),
    ("sidecar/gate/__init__.py", "import kubernetes", "each vendor has one door"),
]


def test_every_import_contract_holds():
    result = lint(ROOT)

    assert result.returncode == 0, result.stdout


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory) -> str:
    """What is said of a copy that does everything that is forbidden, contract by contract."""
    copy = tmp_path_factory.mktemp("spoilt")
    for package in ("agent", "sidecar", "identity", "lab"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__", "_data"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    for module, illegal, _ in ILLEGAL:
        path = copy / module
        path.write_text(path.read_text() + f"\n{illegal}  # noqa\n")
    result = lint(copy)
    assert result.returncode == 1
    return result.stdout


@pytest.mark.parametrize(("module", "illegal", "contract"), ILLEGAL)
def test_a_forbidden_import_is_caught(spoilt, module, illegal, contract):
    importer = module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    imported = illegal.removeprefix("import ")
    _, *told = re.split(r"^(.+)\n-+\n", spoilt[spoilt.index("Broken contracts") :], flags=re.MULTILINE)
    sections = [text for name, text in zip(told[::2], told[1::2], strict=True) if name.startswith(contract)]

    assert any(f"{importer} -> {imported} (l." in text for text in sections), spoilt

"""`--help` is instant: nothing heavy is imported before a command runs."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

HEAVY = {
    "langgraph",
    "langchain_core",
    "openai",
    "kubernetes",
    "numpy",
    "sqlalchemy",
    "fastapi",
    "regopy",
    "opa_client",
    "requests",
    "lab",
}

HELP = """
import sys, {module} as cli
sys.argv = ["x", "--help"]
try:
    cli.main()
finally:
    print("MODULES", *{{name.split(".")[0] for name in sys.modules}})
"""


@pytest.mark.parametrize("module", ["agent.cli", "sidecar.cli"])
def test_help_imports_nothing_heavy(module):
    done = subprocess.run([sys.executable, "-c", HELP.format(module=module)], capture_output=True, text=True, check=False)

    loaded = set(done.stdout.split("MODULES", 1)[1].split())
    assert "Usage" in done.stdout
    assert not loaded & HEAVY


@pytest.mark.parametrize("program", ["lestrade", "lestrade-sidecar"])
def test_a_program_says_its_version(program):
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    done = subprocess.run([Path(sys.executable).with_name(program), "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{program} {declared}\n", "")

"""`--help` is instant: nothing heavy is imported before a command runs."""

import subprocess
import sys

import pytest

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

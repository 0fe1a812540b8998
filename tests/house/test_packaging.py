"""Policies, runbooks and manifests are found from a wheel, from an sdist's wheel and from a checkout."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ASK = """
from agent.runbooks import shipped_folder
from sidecar.policy import policies_folder
from agent.cli.governed import deploy_folder
import identity, lab.scenarios
print(shipped_folder()); print(policies_folder()); print(deploy_folder()); print(len(lab.scenarios.names()))
"""


def ask(where: Path, path: Path | None = None) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": str(path)} if path else dict(os.environ)
    done = subprocess.run([sys.executable, "-c", ASK], cwd=where, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")


def build(source: Path, out: Path, kind: str) -> Path:
    uv = shutil.which("uv") or str(ROOT / ".cache/uv/bin/uv")
    done = subprocess.run([uv, "build", f"--{kind}", "--out-dir", out, source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [built] = out.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return built


def assert_data_lies_under(base: Path, answer: list[str]) -> None:
    runbooks, policies, deploy, scenarios = answer[:4]
    assert Path(runbooks).is_relative_to(base)
    assert list(Path(runbooks).rglob("*.md"))
    assert Path(policies).is_relative_to(base)
    assert (Path(policies) / "remediation" / "decision.rego").is_file()
    assert Path(deploy).is_relative_to(base)
    assert list(Path(deploy).rglob("*.yaml"))
    assert int(scenarios) >= 24


def test_data_is_found_from_a_checkout():
    assert_data_lies_under(ROOT, ask(Path("/")))


@pytest.mark.timeout(240)
def test_data_is_found_from_a_wheel_and_from_the_wheel_of_an_sdist(tmp_path):
    wheel = build(ROOT, tmp_path / "wheel", "wheel")
    sdist = build(ROOT, tmp_path / "sdist", "sdist")
    with tarfile.open(sdist) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # from 3.11.4 on
        archive.extractall(tmp_path / "source")
    [source] = (tmp_path / "source").iterdir()
    second = build(source, tmp_path / "second", "wheel")

    for number, built in enumerate((wheel, second)):
        site = tmp_path / f"site{number}"
        with zipfile.ZipFile(built) as archive:
            archive.extractall(site)
        assert_data_lies_under(site, ask(Path("/"), site))

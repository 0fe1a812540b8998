"""Where the embedded engine cannot be loaded, whoever installs is told what is missing, at every place they may look."""

import subprocess
from pathlib import Path

import pytest

from sidecar.errors import BundleRefused
from sidecar.policy import caged
from sidecar.policy.current import CurrentPolicy
from sidecar.policy.judge import utc_now
from tests.sidecar.policy.builders import bundle_of, facts, plan

ROOT = Path(__file__).resolve().parents[3]
SAID = "libatomic.so.1: cannot open shared object file: No such file or directory"


@pytest.fixture
def without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's program, with a regopy before the real one that fails as the real one does on a slim system."""
    (tmp_path / "regopy.py").write_text(f"raise OSError({SAID!r})\n")
    program = tmp_path / "program.py"
    real = str(caged._PROGRAM)
    program.write_text(
        f"import runpy, sys\nsys.path.insert(0, {str(tmp_path)!r})\nrunpy.run_path({real!r}, run_name='__main__')\n"
    )
    monkeypatch.setattr(caged, "_PROGRAM", program)


@pytest.mark.usefixtures("without_the_library")
def test_a_library_that_the_system_lacks_is_named_with_its_package() -> None:
    with pytest.raises(BundleRefused) as refused:
        caged.EmbeddedEngine(bundle_of("package remediation\n\ndecision := 1\n"))

    assert str(refused.value) == (
        f"the embedded engine cannot be loaded: {SAID} (Debian, Ubuntu: apt-get install libatomic1;"
        " Fedora, RHEL: dnf install libatomic)"
    )


def test_until_a_bundle_is_admitted_readiness_and_denials_say_why_the_last_was_not() -> None:
    policy = CurrentPolicy()
    assert policy.standing().unavailable == "no policy bundle was admitted yet"

    policy.refused("the embedded engine\ncannot be loaded", at=utc_now())

    why = "no policy bundle was admitted yet: the embedded engine cannot be loaded"
    assert policy.standing().unavailable == why
    assert policy.decide(plan(), facts()).reasons[0].message == why


@pytest.mark.parametrize(
    ("says", "wanted"),
    [
        (f"OSError: {SAID}", "apt-get install libatomic1"),
        ("ModuleNotFoundError: No module named 'regopy'", "cannot be loaded: ModuleNotFoundError: No module named 'regopy'"),
    ],
)
def test_the_setup_says_what_to_install_where_it_may_not_itself(says: str, wanted: str, tmp_path: Path) -> None:
    for name, text in {"python": f'echo "Traceback" >&2; echo "{says}" >&2; exit 1', "id": "echo 1000"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    words = [str(ROOT / ".ci/libraries"), str(tmp_path / "python")]
    done = subprocess.run(words, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert wanted in done.stderr
    assert done.stderr.count("\n") == 1

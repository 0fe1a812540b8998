"""The images' file, read as it is written: pinned, not root, nothing fetched in passing; the sidecar's without the agent.

No image is built here, since that needs an engine: the commands of its file are carried out in a folder.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.deploy.built import DEPLOY, ROOT, built, container

FILE = DEPLOY / "images" / "lestrade.Containerfile"
TEXT = FILE.read_text()
AGENTS_OWN = ("openai", "langgraph", "langchain_core", "langsmith", "numpy", "rapidfuzz", "drain3", "mcp", "agent", "lab")


def instructions() -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n\s*", " ", "\n".join(line for line in TEXT.splitlines() if not line.startswith("#")))
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in joined.splitlines() if line.strip()]


def stages() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for word, rest in instructions():
        if word == "FROM":
            name = rest.split()[-1]
        found.setdefault(name, []).append((word, rest))
    return found


def test_bases_are_named_by_whoever_builds_and_have_no_default():
    bases = {rest.split()[0] for word, rest in instructions() if word == "FROM"}
    given = dict(rest.partition("=")[::2] for word, rest in stages()[""] if word == "ARG")

    assert given == {"BASE": "", "UV": ""}
    assert bases - set(stages()) == {"${BASE}", "${UV}"}
    assert "@sha256:" in TEXT
    assert ":latest" not in TEXT


def test_nothing_is_added_from_elsewhere_and_no_secret_is_an_argument():
    assert not [rest for word, rest in instructions() if word == "ADD" or "http://" in rest or "curl" in rest or "wget" in rest]
    arguments = {rest.partition("=")[0] for word, rest in instructions() if word in ("ARG", "ENV")}
    assert not [name for name in arguments if re.search("TOKEN|SECRET|PASSWORD|KEY", name)]


@pytest.mark.parametrize("name", ["agent", "sidecar"])
def test_each_image_runs_as_the_user_that_the_manifests_say(name):
    parts = dict(stages()[name])
    context = container(built("sqlite"), name)["securityContext"]

    assert parts["USER"] == f"{context['runAsUser']}:65532"
    assert json.loads(parts["ENTRYPOINT"])[0].startswith("/opt/lestrade/bin/")  # no shell
    assert json.loads(parts["CMD"]) == container(built("sqlite"), name)["args"]
    assert "org.opencontainers.image.licenses" in parts["LABEL"]
    assert {word for word, _ in stages()["runtime"]} >= {"HEALTHCHECK"}
    run = [rest for word, rest in stages()[name] if word == "RUN"]  # nothing is built in what is shipped
    assert all(rest.startswith("apt-get update && apt-get install -y --no-install-recommends ") for rest in run)


def test_the_libraries_are_compiled_and_as_the_lock_has_them():
    text = " ".join(rest for _, rest in instructions())

    assert "UV_COMPILE_BYTECODE=1" in text
    assert all("--frozen" in command for command in re.findall(r"uv (?:sync|export)[^&]*", text))


def carried_out(stage: str, where: Path) -> Path:
    """What the stage's commands leave in /opt/lestrade, each done as it is written but for that folder and for compiling."""
    uv = shutil.which("uv") or str(ROOT / ".cache/uv/bin/uv")
    source, left = where / "src", where / "opt"
    for name in re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    given = {rest.partition("=")[0]: "" for word, rest in stages()[stage] if word == "ARG"}
    environment = {**os.environ, **given, "UV_PROJECT_ENVIRONMENT": str(left), "UV_PYTHON": sys.executable}
    environment["PATH"] = f"{Path(uv).absolute().parent}:{environment['PATH']}"
    for word, rest in stages()[stage]:
        if word == "RUN":
            command = rest.replace("/opt/lestrade", str(left))
            done = subprocess.run(
                ["sh", "-ec", command], cwd=source, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{rest}: {done.stderr}"
    return left


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The sidecar's part of the image."""
    return carried_out("sidecar-build", tmp_path_factory.mktemp("image"))


def imported(folder: Path) -> set[str]:
    """Top-level names of every import in the folder, but for what needs groups of its own."""
    found: set[str] = set()
    for path in folder.rglob("*.py"):
        if "slack" in path.parts or path.parts[-2:] == ("telemetry", "spans.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found


def asked(program: Path, *words: str) -> str:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(program.parent)}
    done = subprocess.run(
        [str(program), *words], cwd=program.parent, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_sidecar_s_image_has_all_that_the_sidecar_imports_and_nothing_of_the_agent(installed):
    wanted = sorted(imported(ROOT / "sidecar") | imported(ROOT / "identity"))
    ask = (
        f"import importlib.util, json; print(json.dumps([n for n in {[*wanted, *AGENTS_OWN]!r} if importlib.util.find_spec(n)]))"
    )

    there = set(json.loads(asked(installed / "bin/python", "-c", ask)))
    assert set(wanted) - there == set()
    assert there & set(AGENTS_OWN) == set()
    assert not (installed / "bin/lestrade").exists()


def test_each_image_s_program_starts(installed, tmp_path):
    assert asked(installed / "bin/lestrade-sidecar", "--version").startswith("lestrade-sidecar ")
    assert asked(carried_out("agent-build", tmp_path) / "bin/lestrade", "--version").startswith("lestrade ")
    assert (tmp_path / "opt/sbom.cdx.json").stat().st_size > 0


def test_an_image_says_what_it_is_made_of(installed):
    bill = json.loads((installed / "sbom.cdx.json").read_text())

    parts = {part["name"]: part for part in bill["components"]}
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    assert parts["fastapi"]["purl"] == f"pkg:pypi/fastapi@{parts['fastapi']['version']}"
    assert not {"openai", "langgraph"} & set(parts)
    references = {part["bom-ref"] for part in parts.values()} | {bill["metadata"]["component"]["bom-ref"]}
    assert {one["ref"] for one in bill["dependencies"]} <= references


# What every Debian image holds, since its package manager is linked with it: libc6, libgcc-s1, libstdc++6, zlib1g.
IN_EVERY_BASE = re.compile(r"linux-vdso|ld-linux|lib(?:c|m|dl|rt|pthread|resolv|util|gcc_s|stdc\+\+|z)\.so")
PACKAGES = {"libatomic.so.1": "libatomic1"}


def test_what_the_wheels_are_linked_with_is_in_the_image():
    wheels = Path(sysconfig.get_path("platlib"))
    linked = [str(path) for path in wheels.rglob("*.so*")]
    own = {Path(path).name for path in linked}
    text = subprocess.run(["ldd", *linked], capture_output=True, text=True, check=False).stdout
    named = {line.split()[0].rpartition("/")[2] for line in text.splitlines() if "=>" in line}
    assert "libc.so.6" in named

    of_the_system = {name for name in named - own if not IN_EVERY_BASE.match(name)}
    [installed] = [rest for word, rest in stages()["runtime"] if word == "RUN"]
    assert {name for name in of_the_system if PACKAGES.get(name) not in installed.split()} == set()
    assert "libatomic.so.1" in of_the_system  # or the package is there for nothing

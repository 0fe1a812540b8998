"""The manifests as `kubectl kustomize` builds them: each overlay alone, and with every component. Knows no cluster."""

import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
OVERLAYS = tuple(sorted(path.name for path in (DEPLOY / "overlays").iterdir()))
COMPONENTS = tuple(sorted(path.name for path in (DEPLOY / "components").iterdir()))
Document = dict[str, Any]


class CannotBuild(RuntimeError):
    """kustomize's own words."""


def kubectl() -> str | None:
    """The program that the other tests use, or whichever is on PATH."""
    cached = ROOT / ".cache" / "bin" / "kubectl"
    return str(cached) if os.access(cached, os.X_OK) else shutil.which("kubectl")


@functools.cache
def built(overlay: str, components: tuple[str, ...] = ()) -> tuple[Document, ...]:
    """Raises CannotBuild. The documents are shared: nobody changes them."""
    images = [
        {"name": f"lestrade.invalid/{name}", "newName": f"registry.example/lestrade-{name}", "digest": "sha256:" + "0" * 64}
        for name in ("agent", "sidecar")
    ]
    return kustomized(
        {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [f"../../deploy/overlays/{overlay}"],
            "components": [f"../../deploy/components/{name}" for name in components],
            "images": images,
        }
    )


def kustomized(kustomization: Document) -> tuple[Document, ...]:
    """Of one that lies two folders below the checkout's top. Raises CannotBuild."""
    program = kubectl()
    if program is None:
        raise CannotBuild("there is no kubectl (.ci/servers builds one)")
    (ROOT / ".cache").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / ".cache", prefix="kustomize-") as folder:
        (Path(folder) / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        done = subprocess.run([program, "kustomize", folder], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise CannotBuild(f"{kustomization['resources']} with {kustomization['components']}: {done.stderr.strip()}")
    return tuple(one for one in yaml.safe_load_all(done.stdout) if one)


def one(documents: tuple[Document, ...], kind: str, name: str) -> Document:
    [found] = [each for each in documents if each["kind"] == kind and each["metadata"]["name"].startswith(name)]
    return found


def pod_of(documents: tuple[Document, ...]) -> Document:
    spec: Document = one(documents, "Deployment", "lestrade")["spec"]["template"]["spec"]
    return spec


def container(documents: tuple[Document, ...], name: str) -> Document:
    [found] = [each for each in pod_of(documents)["containers"] if each["name"] == name]
    return found


def environment(documents: tuple[Document, ...], name: str) -> dict[str, str]:
    """As the container gets it, but for what comes from secrets."""
    found = container(documents, name)
    values: dict[str, str] = {}
    for source in found.get("envFrom", ()):
        [config] = [
            each
            for each in documents
            if each["kind"] == "ConfigMap" and each["metadata"]["name"] == source["configMapRef"]["name"]
        ]
        values |= config["data"]
    return values | {each["name"]: each["value"] for each in found.get("env", ()) if "value" in each}

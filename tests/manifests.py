"""Every manifest that we ship is valid against the schemas of Kubernetes: `python -m tests.manifests`."""

import sys
from pathlib import Path

import kubernetes_validate
import yaml

ROOT = Path(__file__).resolve().parents[1]
VERSION = "1.36"
# Read by kustomize, or of a kind that we define ourselves: these have no schema there.
NOT_OF_KUBERNETES = {"kustomize.config.k8s.io", "lestrade.dev"}
ELSEWHERE = {"slack"}  # folders of other systems' manifests


def faults(path: Path) -> list[str]:
    """One line for each document of the file that is not valid, strictly: unknown fields are faults too."""
    found = []
    for number, document in enumerate(yaml.safe_load_all(path.read_text()), 1):
        if not document or str(document.get("apiVersion", "")).split("/")[0] in NOT_OF_KUBERNETES:
            continue
        try:
            kubernetes_validate.validate(document, VERSION, strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as exc:
            found.append(f"{path.relative_to(ROOT)} document {number}: {str(exc).splitlines()[0]}")
    return found


def main() -> int:
    deploy = ROOT / "deploy"
    paths = sorted(path for path in deploy.rglob("*.yaml") if path.relative_to(deploy).parts[0] not in ELSEWHERE)
    found = [fault for path in paths for fault in faults(path)]
    print("\n".join(found) or f"{len(paths)} manifests are valid for Kubernetes {VERSION}")
    return 1 if found or not paths else 0


if __name__ == "__main__":
    sys.exit(main())

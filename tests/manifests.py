"""Every manifest that we ship is valid against the schemas of Kubernetes, file by file and as kustomize builds them:
`python -m tests.manifests`."""

import sys
from pathlib import Path

import kubernetes_validate
import yaml

from tests.deploy.built import COMPONENTS, OVERLAYS, CannotBuild, Document, built

ROOT = Path(__file__).resolve().parents[1]
VERSION = "1.36"
# Read by kustomize, or of a kind that is defined by ourselves or by another project: these have no schema there.
NOT_OF_KUBERNETES = {"kustomize.config.k8s.io", "lestrade.dev", "monitoring.coreos.com", "gateway.networking.k8s.io"}
ELSEWHERE = {"slack"}  # folders of other systems' manifests
# Of other programs: Alertmanager's and Prometheus's own files; what kustomize puts together is checked when it is built.
NOT_MANIFESTS = {"alertmanager.yaml", "rules.yaml", "rules-test.yaml", "overlay.yaml"}


def faults(path: Path) -> list[str]:
    """One line for each document of the file that is not valid, strictly: unknown fields are faults too."""
    return faults_of(list(yaml.safe_load_all(path.read_text())), str(path.relative_to(ROOT)))


def faults_of(documents: list[Document], where: str) -> list[str]:
    found = []
    for number, document in enumerate(documents, 1):
        if not document or str(document.get("apiVersion", "")).split("/")[0] in NOT_OF_KUBERNETES:
            continue
        try:
            kubernetes_validate.validate(document, VERSION, strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as exc:
            name = (document.get("metadata") or {}).get("name", "")
            found.append(f"{where} document {number} ({document.get('kind')} {name}): {str(exc).splitlines()[0]}")
    return found


def combinations() -> list[tuple[str, tuple[str, ...]]]:
    """Each overlay alone and with everything; tests/deploy builds each component alone."""
    return [(overlay, chosen) for overlay in OVERLAYS for chosen in ((), COMPONENTS)]


def main() -> int:
    deploy = ROOT / "deploy"
    paths = sorted(path for path in deploy.rglob("*.yaml") if path.relative_to(deploy).parts[0] not in ELSEWHERE)
    paths = [path for path in paths if path.name not in NOT_MANIFESTS]
    found = [fault for path in paths for fault in faults(path)]
    for overlay, components in combinations():
        where = " + ".join((overlay, *components))
        try:
            found += faults_of(list(built(overlay, components)), where)
        except CannotBuild as exc:
            found.append(f"{where}: {exc}")
    print("\n".join(found) or f"{len(paths)} manifests and {len(combinations())} builds are valid for Kubernetes {VERSION}")
    return 1 if found or not paths else 0


if __name__ == "__main__":
    sys.exit(main())

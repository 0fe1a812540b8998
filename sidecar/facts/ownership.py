"""Which GitOps tool keeps an object as its repository says. Pure; from what the tools write on the objects.

Sources: Argo CD "Resource Tracking" (annotation argocd.argoproj.io/tracking-id, labels argocd.argoproj.io/instance and
app.kubernetes.io/instance), Flux "Kustomization" and "HelmRelease" references (labels *.toolkit.fluxcd.io/name and
/namespace), Helm (annotation meta.helm.sh/release-name, label app.kubernetes.io/managed-by).
"""

from sidecar.contract import Json

Document = dict[str, Json]
_ARGO_MANAGERS = frozenset({"argocd-controller", "argocd-application-controller"})


def gitops_of(live: Document) -> Document | None:
    """{"tool": "argocd" | "flux", "app": its name for it}, None where no mark says so."""
    labels, annotations = _part(live, "labels"), _part(live, "annotations")
    if app := _text(annotations, "argocd.argoproj.io/tracking-id"):
        return {"tool": "argocd", "app": app.split(":", 1)[0]}
    if app := _text(labels, "argocd.argoproj.io/instance"):
        return {"tool": "argocd", "app": app}
    for kind in ("kustomize", "helm"):
        if app := _text(labels, f"{kind}.toolkit.fluxcd.io/name"):
            namespace = _text(labels, f"{kind}.toolkit.fluxcd.io/namespace")
            return {"tool": "flux", "app": f"{namespace}/{app}" if namespace else app}
    # The instance label is everybody's; with Argo CD's hand on the object it is Argo CD's.
    if _argo_wrote(live):
        return {"tool": "argocd", "app": _text(labels, "app.kubernetes.io/instance") or "unnamed"}
    return None


def helm_of(live: Document) -> Document | None:
    """For information only: a release that a person installs is not put back by anybody."""
    release = _text(_part(live, "annotations"), "meta.helm.sh/release-name")
    if release or _text(_part(live, "labels"), "app.kubernetes.io/managed-by") == "Helm":
        return {"release": release}
    return None


def _argo_wrote(live: Document) -> bool:
    metadata = live.get("metadata")
    fields = metadata.get("managedFields") if isinstance(metadata, dict) else None
    entries = fields if isinstance(fields, list) else []
    return any(isinstance(entry, dict) and entry.get("manager") in _ARGO_MANAGERS for entry in entries)


def _part(live: Document, name: str) -> Document:
    metadata = live.get("metadata")
    part = metadata.get(name) if isinstance(metadata, dict) else None
    return part if isinstance(part, dict) else {}


def _text(source: Document, key: str) -> str:
    value = source.get(key)
    return value[:256] if isinstance(value, str) else ""

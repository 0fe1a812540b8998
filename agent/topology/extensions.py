"""Custom resources: which objects are some, when they are held on purpose, and what they name or make. Pure.

Knows the shapes of Argo CD, Flux, cert-manager, KEDA, KAITO, Ray, Karpenter, dynamic resource allocation and the Gateway
API's inference extension; everything else by owner references and the usual names of reference fields.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from agent.domain.objects import Manifest, Ref
from agent.topology.fields import annotations_of, condition, items, kind_of, labels_of, mapping, namespace_of, ref_of, text
from agent.topology.injected import injected_into
from agent.topology.kinds import group_in, kind_in, plain
from agent.topology.references import Relation

# Groups under *.k8s.io (and the short ones) whose objects are Kubernetes' own and have checks of their own.
OWN_GROUPS = frozenset({
    "", "apps", "batch", "autoscaling", "policy", "extensions", "events.k8s.io", "networking.k8s.io", "storage.k8s.io",
    "rbac.authorization.k8s.io", "scheduling.k8s.io", "coordination.k8s.io", "discovery.k8s.io", "node.k8s.io",
    "admissionregistration.k8s.io", "apiregistration.k8s.io", "apiextensions.k8s.io", "authentication.k8s.io",
    "authorization.k8s.io", "certificates.k8s.io", "flowcontrol.apiserver.k8s.io", "resource.k8s.io", "metrics.k8s.io",
    "internal.apiserver.k8s.io", "storagemigration.k8s.io",
})  # fmt: skip
# Annotations by which people stop a controller; the values that mean nothing.
_HELD_ANNOTATIONS = (
    "cluster.x-k8s.io/paused",
    "crossplane.io/paused",
    "autoscaling.keda.sh/paused",
    "autoscaling.keda.sh/paused-replicas",
    "autoscaling.keda.sh/paused-scale-in",
    "autoscaling.keda.sh/paused-scale-out",
    "argocd.argoproj.io/skip-reconcile",
)
_DEPTH = 7  # how deep reference fields are looked for in a spec


def group_of(manifest: Manifest) -> str:
    """The API group: "argoproj.io" of argoproj.io/v1alpha1, "" of v1."""
    return group_in(text(manifest, "apiVersion"))


def is_custom(manifest: Manifest) -> bool:
    return group_of(manifest) not in OWN_GROUPS


def held(manifest: Manifest) -> str:
    """Why a controller leaves the object alone on purpose (spec.suspend: true, a pause annotation), or ""."""
    spec = mapping(manifest, "spec")
    for field in ("suspend", "suspended", "paused", "pause"):
        if spec.get(field) is True:
            return f"spec.{field}: true"
    if spec.get("running") is False or spec.get("runStrategy") == "Halted":
        return "it is switched off (spec.running or runStrategy)"  # a virtual machine
    if spec.get("replicas") == 0:
        return "spec.replicas: 0"
    for name in _HELD_ANNOTATIONS:
        value = annotations_of(manifest).get(name)
        if value is not None and str(value).lower() != "false":
            return f"annotation {name}: {value}"
    for kind in ("Suspended", "Paused"):
        if text(condition(manifest, kind), "status") == "True":
            return f"condition {kind}=True"
    return ""


def issuer_of(manifest: Manifest) -> Ref | None:
    """The Issuer or ClusterIssuer that a cert-manager object names; None for issuers of other groups."""
    named = mapping(manifest, "spec", "issuerRef")
    kind = text(named, "kind") or "Issuer"
    if not text(named, "name") or (text(named, "group") or "cert-manager.io") != "cert-manager.io":
        return None
    return Ref(kind, "" if kind == "ClusterIssuer" else namespace_of(manifest), text(named, "name"))


def secret_made_by(manifest: Manifest) -> Ref | None:
    """The Secret that a controller makes of a Certificate, ExternalSecret or SealedSecret."""
    name = ""
    match kind_of(manifest), group_of(manifest):
        case "Certificate", "cert-manager.io":
            name = text(manifest, "spec", "secretName")
        case "ExternalSecret", "external-secrets.io":
            name = text(manifest, "spec", "target", "name") or text(manifest, "metadata", "name")
        case "SealedSecret", "bitnami.com":
            name = text(manifest, "spec", "template", "metadata", "name") or text(manifest, "metadata", "name")
    return Ref("Secret", namespace_of(manifest), name) if name else None


def source_of(manifest: Manifest) -> Ref | None:
    """The source that a Flux Kustomization, HelmRelease or HelmChart names."""
    namespace = namespace_of(manifest)
    for path in (("spec", "sourceRef"), ("spec", "chartRef"), ("spec", "chart", "spec", "sourceRef")):
        named = mapping(manifest, *path)
        if text(named, "name"):
            return Ref(text(named, "kind"), text(named, "namespace") or namespace, text(named, "name"))
    return None


def picker_of(pool: Manifest) -> Ref | None:
    """The endpoint picker's Service of an InferencePool (endpointPickerRef since v1, extensionRef before)."""
    for field in ("endpointPickerRef", "extensionRef"):
        named = mapping(pool, "spec", field)
        if text(named, "name"):
            return Ref(text(named, "kind") or "Service", namespace_of(pool), text(named, "name"))
    return None


def pool_selector(pool: Manifest) -> Mapping[str, str]:
    """matchLabels of an InferencePool's selector, which was a plain map before v1."""
    selector = mapping(pool, "spec", "selector")
    labels = mapping(selector, "matchLabels") or selector
    return {key: value for key, value in labels.items() if isinstance(value, str)}


def edges(objects: Mapping[Ref, Manifest]) -> Iterator[tuple[Ref, Ref, Relation]]:
    """(source, target, relation): the source depends on the target. Ends may not exist: a missing one is a finding."""
    releases = {ref for ref in objects if ref.kind == "HelmRelease"}
    for ref, manifest in objects.items():
        yield from _owners(ref, manifest, objects)
        if releases and "helm.toolkit.fluxcd.io/name" in labels_of(manifest):
            labels = labels_of(manifest)
            release = Ref(
                "HelmRelease", labels.get("helm.toolkit.fluxcd.io/namespace", ""), labels["helm.toolkit.fluxcd.io/name"]
            )
            if release in releases:
                yield release, ref, "owns"
        if is_custom(manifest) or ref.kind in ("ResourceClaim", "Pod"):
            for target, relation in _named(ref, manifest, objects):
                if target.name and target != ref:
                    yield ref, target, relation
            for hurt in injected_into(manifest, objects):
                yield hurt, ref, "limited-by"
            made = secret_made_by(manifest)
            if made is not None:
                yield made, ref, "refers-to"
            if ref.kind == "NodeClaim" and labels_of(manifest).get("kaito.sh/workspace"):
                labels = labels_of(manifest)
                workspace = Ref("Workspace", labels.get("kaito.sh/workspacenamespace", ""), labels["kaito.sh/workspace"])
                yield workspace, ref, "owns"


def _owners(ref: Ref, manifest: Manifest, objects: Mapping[Ref, Manifest]) -> Iterator[tuple[Ref, Ref, Relation]]:
    if ref.kind in ("Pod", "ReplicaSet", "EndpointSlice", "ControllerRevision"):
        return
    for owner in items(manifest, "metadata", "ownerReferences"):
        group = group_in(text(owner, "apiVersion"))
        named = _meant(text(owner, "kind"), group, ref.namespace, text(owner, "name"), objects)
        if named not in objects:
            named = _meant(text(owner, "kind"), group, "", text(owner, "name"), objects)
        if named in objects and named.kind not in ("Node", "Namespace"):
            yield named, ref, "owns"


def _meant(kind: str, group: str, namespace: str, name: str, objects: Mapping[Ref, Manifest]) -> Ref:
    """The object of that kind and group, whatever the kind is called here."""
    told_apart = Ref(f"{kind}.{group}", namespace, name)
    return told_apart if group and told_apart in objects else Ref(kind_in(kind, f"{group}/v1" if group else ""), namespace, name)


def _named(ref: Ref, manifest: Manifest, objects: Mapping[Ref, Manifest]) -> Iterator[tuple[Ref, Relation]]:
    namespace = ref.namespace
    match ref.kind:
        case "Pod":
            yield from ((claim, "refers-to") for claim in claims_of(manifest))
            return
        case "ResourceClaim":
            yield from ((Ref("DeviceClass", "", name), "refers-to") for name in classes_of(manifest))
            return
        case "Application":
            yield Ref("AppProject", namespace, text(manifest, "spec", "project") or "default"), "refers-to"
            for one in items(manifest, "status", "resources"):
                yield _meant(text(one, "kind"), text(one, "group"), text(one, "namespace"), text(one, "name"), objects), "owns"
        case "Kustomization" | "HelmRelease" | "HelmChart":
            source = source_of(manifest)
            if source is not None:
                yield source, "refers-to"
            for need in items(manifest, "spec", "dependsOn"):
                yield Ref(ref.kind, text(need, "namespace") or namespace, text(need, "name")), "refers-to"
            for entry in items(manifest, "status", "inventory", "entries"):
                parts = text(entry, "id").split("_")  # namespace_name_group_kind; a name may hold no underscore
                if len(parts) == 4:
                    yield _meant(parts[3], parts[2], parts[0], parts[1], objects), "owns"
        case "Certificate" | "CertificateRequest" | "Order" | "Challenge":
            issuer = issuer_of(manifest)
            if issuer is not None:
                yield issuer, "refers-to"
        case "ScaledObject":
            target = mapping(manifest, "spec", "scaleTargetRef")
            group = group_in(text(target, "apiVersion"))
            yield _meant(text(target, "kind") or "Deployment", group, namespace, text(target, "name"), objects), "scales"
            yield from ((auth, "refers-to") for auth in authentications_of(manifest))
        case "ScaledJob":
            yield from ((auth, "refers-to") for auth in authentications_of(manifest))
        case "RayJob" | "RayService":
            for path in (
                ("rayClusterName",),
                ("activeServiceStatus", "rayClusterName"),
                ("pendingServiceStatus", "rayClusterName"),
            ):
                yield Ref("RayCluster", namespace, text(manifest, "status", *path)), "owns"
        case "InferencePool":
            picker = picker_of(manifest)
            if picker is not None:
                yield picker, "routes-to"
        case "InferenceObjective" | "InferenceModel":
            named = mapping(manifest, "spec", "poolRef")
            yield Ref(text(named, "kind") or "InferencePool", namespace, text(named, "name")), "refers-to"
        case "NodeClaim":
            yield Ref("Node", "", text(manifest, "status", "nodeName")), "refers-to"
            yield Ref("NodePool", "", labels_of(manifest).get("karpenter.sh/nodepool", "")), "refers-to"
        case "ExternalSecret":
            store = mapping(manifest, "spec", "secretStoreRef")
            kind = text(store, "kind") or "SecretStore"
            yield Ref(kind, "" if kind == "ClusterSecretStore" else namespace, text(store, "name")), "refers-to"
        case "ServiceExport" | "ServiceImport":
            yield Ref("Service", namespace, ref.name), "refers-to"
    yield from _reference_fields(mapping(manifest, "spec"), namespace, 0)


def _reference_fields(value: Any, namespace: str, depth: int) -> Iterator[tuple[Ref, Relation]]:
    """Secrets and ConfigMaps that a spec names by the usual fields (secretRef, xSecretRef, secretName, configMapRef ...)."""
    if depth > _DEPTH:
        return
    if isinstance(value, list):
        for one in value[:200]:
            yield from _reference_fields(one, namespace, depth + 1)
    elif isinstance(value, Mapping):
        for key, below in value.items():
            kind = "Secret" if key.lower().endswith(("secretref", "secretkeyref")) else ""
            kind = kind or ("ConfigMap" if key.lower().endswith(("configmapref", "configmapkeyref")) else "")
            if kind and text(below, "name") and key != "privateKeySecretRef":
                yield Ref(kind, text(below, "namespace") or namespace, text(below, "name")), "refers-to"
            elif isinstance(below, dict | list):
                yield from _reference_fields(below, namespace, depth + 1)


def authentications_of(scaled: Manifest) -> Iterable[Ref]:
    """TriggerAuthentications that the triggers of a KEDA object name."""
    for trigger in items(scaled, "spec", "triggers"):
        named = mapping(trigger, "authenticationRef")
        kind = text(named, "kind") or "TriggerAuthentication"
        if text(named, "name"):
            yield Ref(kind, "" if kind == "ClusterTriggerAuthentication" else namespace_of(scaled), text(named, "name"))


def claims_of(pod: Manifest) -> Iterable[Ref]:
    """ResourceClaims of a pod: those it names, and those that were made for it from templates."""
    for one in [*items(pod, "spec", "resourceClaims"), *items(pod, "status", "resourceClaimStatuses")]:
        if text(one, "resourceClaimName"):
            yield Ref("ResourceClaim", namespace_of(pod), text(one, "resourceClaimName"))


def classes_of(claim: Manifest) -> Iterable[str]:
    """Names of the DeviceClasses that a ResourceClaim (or the spec of a template) asks for, in every API version."""
    spec = mapping(claim, "spec", "spec") if kind_of(claim) == "ResourceClaimTemplate" else mapping(claim, "spec")
    for request in items(spec, "devices", "requests"):
        choices = [request, mapping(request, "exactly"), *items(request, "firstAvailable")]
        yield from (text(one, "deviceClassName") for one in choices if text(one, "deviceClassName"))


def manager_of(manifest: Manifest) -> Ref | None:
    """The GitOps object that a manifest says it comes from; None when it says nothing, or not in which namespace."""
    labels = labels_of(manifest)
    for kind, prefix in (("Kustomization", "kustomize.toolkit.fluxcd.io"), ("HelmRelease", "helm.toolkit.fluxcd.io")):
        if f"{prefix}/name" in labels:
            return Ref(kind, labels.get(f"{prefix}/namespace", ""), labels[f"{prefix}/name"])
    tracking = annotations_of(manifest).get("argocd.argoproj.io/tracking-id", "")
    name = tracking.partition(":")[0]
    if name:
        space, underscore, rest = name.partition("_")  # ns_app where Applications live in any namespace
        return Ref("Application", space if underscore else "argocd", rest or name)
    return None


def described(manifest: Manifest) -> str:
    """Kind and name with the API group, so that kinds of one name are told apart."""
    group, ref = group_of(manifest), ref_of(manifest)
    ref = Ref(plain(ref.kind), ref.namespace, ref.name)
    return f"{ref} ({group})" if group else str(ref)


def touches(manifest: Manifest, namespaces: Collection[str]) -> bool:
    """Whether a GitOps object of another namespace makes or deploys things in one of these."""
    kind, group = kind_of(manifest), group_of(manifest)
    if group == "argoproj.io" and kind == "Application":
        made = {text(one, "namespace") for one in items(manifest, "status", "resources")}
        return bool({text(manifest, "spec", "destination", "namespace"), *made} & set(namespaces))
    if group == "argoproj.io" and kind == "AppProject":
        return any(text(one, "namespace") in namespaces for one in items(manifest, "spec", "destinations"))
    if group == "source.toolkit.fluxcd.io":
        return True  # few, and every Kustomization and HelmRelease hangs on one
    if group.endswith("toolkit.fluxcd.io"):
        made = {text(entry, "id").partition("_")[0] for entry in items(manifest, "status", "inventory", "entries")}
        aimed = {text(manifest, "spec", field) for field in ("targetNamespace", "storageNamespace")}
        return bool((made | aimed) & set(namespaces))
    return False

"""What may not change once an object is stored."""

import copy
from typing import Any

from lab.api.resources import Resource
from lab.api.status import Cause, invalid_value, not_allowed
from lab.api.validation.metadata import quoted
from lab.store import Object

_POD_RULE = (
    "pod updates may not change fields other than "
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it "
    "to be set to 1 if it was previously negative)"
)


def changes(resource: Resource, live: Object, new: Object, subresource: str) -> list[Cause]:
    match (resource.store_group, resource.plural):
        case ("apps", "deployments" | "replicasets" | "daemonsets"):
            return _field(live, new, "selector")
        case ("apps", "statefulsets"):
            return _stateful_set(live, new)
        case ("batch", "jobs"):
            return _job(live, new)
        case ("", "pods"):
            return _pod(live, new) if not subresource else []
        case ("", "services"):
            return _service(live, new)
        case ("", "secrets" | "configmaps"):
            return _immutable_data(live, new)
        case ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings"):
            return _role_ref(live, new)
        case ("", "persistentvolumeclaims"):
            return _claim(live, new)
        case ("storage.k8s.io", "storageclasses"):
            return [
                not_allowed(n, "updates to provisioner are forbidden.") for n in ("provisioner",) if live.get(n) != new.get(n)
            ]
    return []


def _field(live: Object, new: Object, name: str) -> list[Cause]:
    if (live.get("spec") or {}).get(name) == (new.get("spec") or {}).get(name):
        return []
    return [invalid_value(f"spec.{name}", quoted((new.get("spec") or {}).get(name)), "field is immutable")]


def _stateful_set(live: Object, new: Object) -> list[Cause]:
    open_fields = {
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    }
    before, after = ({k: v for k, v in o["spec"].items() if k not in open_fields} for o in (live, new))
    if before == after:
        return []
    why = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"  # noqa: E501
    return [not_allowed("spec", why)]


def _job(live: Object, new: Object) -> list[Cause]:
    out = []
    if live["spec"].get("template") != new["spec"].get("template"):
        out.append(invalid_value("spec.template", quoted(new["spec"].get("template")), "field is immutable"))
    for name in ("selector", "completions", "completionMode"):
        if live["spec"].get(name) != new["spec"].get(name):
            out += _field(live, new, name)
    return out


def _pod(live: Object, new: Object) -> list[Cause]:
    before, after = copy.deepcopy(live.get("spec") or {}), copy.deepcopy(new.get("spec") or {})
    for kind in ("containers", "initContainers"):
        for old, changed in zip(before.get(kind) or [], after.get(kind) or [], strict=False):
            changed["image"] = old.get("image")
            changed["imagePullPolicy"] = old.get("imagePullPolicy")
    kept = before.get("tolerations") or []
    if all(t in (after.get("tolerations") or []) for t in kept):
        after["tolerations"] = kept
    for spec in (before, after):
        spec.pop("activeDeadlineSeconds", None)
        if not spec.get("tolerations"):
            spec.pop("tolerations", None)
    return [] if before == after else [not_allowed("spec", _POD_RULE)]


def _service(live: Object, new: Object) -> list[Cause]:
    had, got = live.get("spec") or {}, new.get("spec") or {}
    if had.get("clusterIP") not in (None, "", got.get("clusterIP")) and got.get("type") != "ExternalName":
        return [
            invalid_value(
                "spec.clusterIPs[0]", quoted(got.get("clusterIPs") or [got.get("clusterIP")]), "may not change once set"
            )
        ]
    return []


def _immutable_data(live: Object, new: Object) -> list[Cause]:
    if not live.get("immutable"):
        return []
    out = [
        not_allowed(n, "field is immutable when `immutable` is set") for n in ("data", "binaryData") if live.get(n) != new.get(n)
    ]
    if not new.get("immutable"):
        out.append(not_allowed("immutable", "field is immutable when `immutable` is set"))
    return out


def _role_ref(live: Object, new: Object) -> list[Cause]:
    if live.get("roleRef") == new.get("roleRef"):
        return []
    ref: dict[str, Any] = new.get("roleRef") or {}
    shown = quoted({"APIGroup": ref.get("apiGroup", ""), "Kind": ref.get("kind", ""), "Name": ref.get("name", "")})
    return [invalid_value("roleRef", shown, "cannot change roleRef")]


def _claim(live: Object, new: Object) -> list[Cause]:
    open_fields = {"resources", "volumeAttributesClassName", "volumeName"}
    before, after = ({k: v for k, v in o["spec"].items() if k not in open_fields} for o in (live, new))
    if before == after or (
        live["spec"].get("storageClassName") is None
        and {**after, "storageClassName": None} == {**before, "storageClassName": None}
    ):
        return []
    why = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
    return [not_allowed("spec", why)]

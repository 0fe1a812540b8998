"""What each built-in kind demands of its own fields."""

from collections.abc import Callable
from typing import Any

from lab.api.cluster import Cluster
from lab.api.resources import Resource
from lab.api.selectors import of_label_selector, selects
from lab.api.status import Cause, invalid_value, not_allowed, required, unsupported_value
from lab.api.validation.metadata import namespace_labels, quoted
from lab.api.validation.pods import non_negative, pod_spec
from lab.api.validation.policies import policy
from lab.store import Object

LARGEST = 1048576  # bytes in a ConfigMap or Secret


def faults(cluster: Cluster, resource: Resource, obj: Object) -> list[Cause]:
    check = _CHECKS.get((resource.store_group, resource.plural))
    return check(obj) if check is not None else []


def _pod(obj: Object) -> list[Cause]:
    return pod_spec(obj["spec"], "spec")


def _template(spec: dict[str, Any], *, selector: bool = True) -> list[Cause]:
    """Selector first, then the labels it must match, then the pod."""
    out: list[Cause] = []
    labels = (spec.get("template", {}).get("metadata") or {}).get("labels") or {}
    if selector:
        if spec.get("selector") is None:
            out.append(required("spec.selector"))
        elif not of_label_selector(spec["selector"]):
            out.append(invalid_value("spec.selector", quoted(spec["selector"]), "empty selector is invalid for deployment"))
        if not selects(of_label_selector(spec.get("selector") or None), labels) or not spec.get("selector"):
            out.append(
                invalid_value(
                    "spec.template.metadata.labels",
                    quoted(dict(sorted(labels.items()))),
                    "`selector` does not match template `labels`",
                )
            )
    return out + pod_spec(spec.get("template", {}).get("spec") or {}, "spec.template.spec")


def _always(spec: dict[str, Any]) -> list[Cause]:
    policy = (spec.get("template", {}).get("spec") or {}).get("restartPolicy")
    return [] if policy == "Always" else [unsupported_value("spec.template.spec.restartPolicy", quoted(policy), ["Always"])]


def _replicas(spec: dict[str, Any]) -> list[Cause]:
    count = spec.get("replicas")
    return [non_negative("spec.replicas", count)] if isinstance(count, int) and count < 0 else []


def _workload(obj: Object) -> list[Cause]:
    spec = obj["spec"]
    return _replicas(spec) + _template(spec) + _always(spec)


def _job(obj: Object) -> list[Cause]:
    spec = obj["spec"]
    counts = ("parallelism", "completions", "backoffLimit", "activeDeadlineSeconds")
    out = [non_negative(f"spec.{n}", spec[n]) for n in counts if isinstance(spec.get(n), int) and spec[n] < 0]
    return out + _template(spec, selector=False) + _no_always(spec, "spec.template.spec")


def _no_always(spec: dict[str, Any], path: str) -> list[Cause]:
    policy = (spec.get("template", {}).get("spec") or {}).get("restartPolicy")
    if policy == "Always":
        return [unsupported_value(f"{path}.restartPolicy", quoted(policy), ["OnFailure", "Never"])]
    return []


def _cron_job(obj: Object) -> list[Cause]:
    spec = obj["spec"]
    out = [] if spec.get("schedule") else [required("spec.schedule")]
    job = spec["jobTemplate"]["spec"]
    out += pod_spec((job.get("template") or {}).get("spec") or {}, "spec.jobTemplate.spec.template.spec")
    return out + _no_always(job, "spec.jobTemplate.spec.template.spec")


def _data(obj: Object) -> list[Cause]:
    size = sum(len(str(v)) for field in ("data", "binaryData") for v in (obj.get(field) or {}).values())
    out = []
    for key in obj.get("data") or {}:
        if not key or any(not (c.isalnum() or c in "-_.") for c in key):
            why = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"  # noqa: E501
            out.append(invalid_value(f"data[{key}]", quoted(key), why))
    if size > LARGEST:
        out.append(Cause(reason="FieldValueTooLong", message=f"Too long: may not be more than {LARGEST} bytes", field="[]"))
    return out


def _service(obj: Object) -> list[Cause]:
    spec, out = obj["spec"], []
    ports = spec.get("ports") or []
    if not ports and spec["type"] != "ExternalName" and spec.get("clusterIP") != "None":
        out.append(required("spec.ports"))
    for i, port in enumerate(ports):
        if len(ports) > 1 and not port.get("name"):
            out.append(required(f"spec.ports[{i}].name"))
        number = port.get("port")
        if not isinstance(number, int) or not 0 < number < 65536:
            out.append(invalid_value(f"spec.ports[{i}].port", str(number or 0), "must be between 1 and 65535, inclusive"))
        target = port.get("targetPort")
        if isinstance(target, int) and not 0 < target < 65536:
            out.append(invalid_value(f"spec.ports[{i}].targetPort", str(target), "must be between 1 and 65535, inclusive"))
    return out


def _role(obj: Object) -> list[Cause]:
    return _rules(obj, namespaced=True)


def _cluster_role(obj: Object) -> list[Cause]:
    return _rules(obj, namespaced=False)


def _rules(obj: Object, *, namespaced: bool) -> list[Cause]:
    out: list[Cause] = []
    for i, rule in enumerate(obj.get("rules") or []):
        at = f"rules[{i}]"
        if not rule.get("verbs"):
            out.append(required(f"{at}.verbs", "verbs must contain at least one value"))
        if rule.get("nonResourceURLs"):
            if namespaced:
                why = "namespaced rules cannot apply to non-resource URLs"
                out.append(invalid_value(f"{at}.nonResourceURLs", quoted(rule["nonResourceURLs"]), why))
            continue
        if not rule.get("apiGroups"):
            out.append(required(f"{at}.apiGroups", "resource rules must supply at least one api group"))
        if not rule.get("resources"):
            out.append(required(f"{at}.resources", "resource rules must supply at least one resource"))
    return out


def _binding(obj: Object) -> list[Cause]:
    ref, out = obj.get("roleRef") or {}, []
    if ref.get("kind") not in ("Role", "ClusterRole"):
        out.append(unsupported_value("roleRef.kind", quoted(ref.get("kind", "")), ["ClusterRole", "Role"]))
    if not ref.get("name"):
        out.append(required("roleRef.name"))
    for i, subject in enumerate(obj.get("subjects") or []):
        if subject.get("kind") not in ("ServiceAccount", "User", "Group"):
            out.append(
                unsupported_value(f"subjects[{i}].kind", quoted(subject.get("kind", "")), ["Group", "ServiceAccount", "User"])
            )
    return out


def _autoscaler(obj: Object) -> list[Cause]:
    spec, out = obj["spec"], []
    most, least = spec.get("maxReplicas"), spec.get("minReplicas", 1)
    if not isinstance(most, int) or most < 1:
        out.append(invalid_value("spec.maxReplicas", str(most or 0), "must be greater than 0"))
    elif most < least:
        out.append(invalid_value("spec.maxReplicas", str(most), "must be greater than or equal to `minReplicas`"))
    target = spec.get("scaleTargetRef") or {}
    return out + [required(f"spec.scaleTargetRef.{name}") for name in ("kind", "name") if not target.get(name)]


def _budget(obj: Object) -> list[Cause]:
    spec = obj.get("spec") or {}
    if "minAvailable" in spec and "maxUnavailable" in spec:
        why = "minAvailable and maxUnavailable cannot be both set"
        return [invalid_value("spec", quoted(spec), why)]
    return []


def _claim(obj: Object) -> list[Cause]:
    spec, out = obj["spec"], []
    if not spec.get("accessModes"):
        out.append(required("spec.accessModes", "at least 1 access mode is required"))
    if "storage" not in ((spec.get("resources") or {}).get("requests") or {}):
        out.append(required("spec.resources[storage]"))
    return out


def _lease(obj: Object) -> list[Cause]:
    seconds = (obj.get("spec") or {}).get("leaseDurationSeconds")
    if isinstance(seconds, int) and seconds <= 0:
        return [invalid_value("spec.leaseDurationSeconds", str(seconds), "must be greater than 0")]
    return []


def _quota(obj: Object) -> list[Cause]:
    out = []
    for name, amount in ((obj.get("spec") or {}).get("hard") or {}).items():
        if str(amount).startswith("-"):
            out.append(not_allowed(f"spec.hard[{name}]", "must be greater than or equal to 0"))
    return out


def _definition(obj: Object) -> list[Cause]:
    spec, name = obj["spec"], obj["metadata"]["name"]
    out = []
    if name != f"{spec.get('names', {}).get('plural')}.{spec.get('group')}":
        out.append(invalid_value("metadata.name", quoted(name), 'must be spec.names.plural+"."+spec.group'))
    schemas = [(v.get("schema") or {}).get("openAPIV3Schema") or {} for v in spec.get("versions") or []]
    untyped = required("spec.validation.openAPIV3Schema.type", "must not be empty at the root")
    return out + [untyped for schema in schemas if schema.get("type") != "object"]


_CHECKS: dict[tuple[str, str], Callable[[Object], list[Cause]]] = {
    ("apiextensions.k8s.io", "customresourcedefinitions"): _definition,
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"): policy,
    ("", "pods"): _pod,
    ("", "configmaps"): _data,
    ("", "secrets"): _data,
    ("", "services"): _service,
    ("", "namespaces"): namespace_labels,
    ("", "persistentvolumeclaims"): _claim,
    ("", "resourcequotas"): _quota,
    ("apps", "deployments"): _workload,
    ("apps", "replicasets"): _workload,
    ("apps", "statefulsets"): _workload,
    ("apps", "daemonsets"): _workload,
    ("batch", "jobs"): _job,
    ("batch", "cronjobs"): _cron_job,
    ("policy", "poddisruptionbudgets"): _budget,
    ("autoscaling", "horizontalpodautoscalers"): _autoscaler,
    ("coordination.k8s.io", "leases"): _lease,
    ("rbac.authorization.k8s.io", "roles"): _role,
    ("rbac.authorization.k8s.io", "clusterroles"): _cluster_role,
    ("rbac.authorization.k8s.io", "rolebindings"): _binding,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _binding,
}

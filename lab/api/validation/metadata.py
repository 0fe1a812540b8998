"""Names, labels, owners, finalizers: what holds for objects of every kind."""

import json
import re
from typing import Any

from lab.api.resources import Resource
from lab.api.status import Cause, invalid_value, not_allowed
from lab.store import Object

_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_QUALIFIED = re.compile(r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")
_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
    "end with an alphanumeric character "
    "(e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric "
    "character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
DNS_1035_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric "
    "character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric "
    "character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_STANDARD_FINALIZERS = {"orphan", "foregroundDeletion", "kubernetes"}
_FREE_NAMES = {"rbac.authorization.k8s.io"}
SECURITY_LABELS = ("enforce", "audit", "warn")


def quoted(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def is_label(name: str) -> bool:
    return bool(_LABEL.match(name)) and len(name) <= 63


def is_subdomain(name: str) -> bool:
    return bool(_SUBDOMAIN.match(name)) and len(name) <= 253


def faults(resource: Resource, obj: Object) -> list[Cause]:
    meta = obj["metadata"]
    out = _name(resource, str(meta.get("name", "")))
    for key, value in (meta.get("labels") or {}).items():
        out += _label(key, value)
    for i, finalizer in enumerate(meta.get("finalizers") or []):
        if "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            out.append(invalid_value(f"metadata.finalizers[{i}]", quoted(finalizer), why))
    return out + _owners(meta.get("ownerReferences") or [])


def _name(resource: Resource, name: str) -> list[Cause]:
    if resource.group in _FREE_NAMES:
        return []
    if resource.plural == "namespaces":
        if "." in name:
            return [invalid_value("metadata.name", quoted(name), "must not contain dots")]
        return [] if is_label(name) else [invalid_value("metadata.name", quoted(name), LABEL_RULE)]
    if resource.plural == "services" and not (is_label(name) and name[:1].isalpha()):
        return [invalid_value("metadata.name", quoted(name), DNS_1035_RULE)]
    return [] if is_subdomain(name) else [invalid_value("metadata.name", quoted(name), SUBDOMAIN_RULE)]


def _label(key: str, value: str) -> list[Cause]:
    name = key.rsplit("/", 1)[-1]
    if not _QUALIFIED.match(name) or len(name) > 63:
        why = (
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
            "alphanumeric character "
            "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
            "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
        )
        return [invalid_value("metadata.labels", quoted(key), why)]
    if len(str(value)) > 63:
        return [invalid_value("metadata.labels", quoted(value), "must be no more than 63 bytes")]
    return [] if _VALUE.match(str(value)) else [invalid_value("metadata.labels", quoted(value), VALUE_RULE)]


def _owners(owners: list[Any]) -> list[Cause]:
    empty = [field for owner in owners for field in ("kind", "name", "uid") if not owner.get(field)]
    out = [invalid_value(f"metadata.ownerReferences.{field}", '""', "must not be empty") for field in empty]
    controllers = [f"{o.get('kind')}/{o.get('name')}" for o in owners if o.get("controller")]
    if len(controllers) > 1:
        why = f'Only one reference can have Controller set to true. Found "true" in references for {" and ".join(controllers)}'
        ordered = [
            {k: o[k] for k in ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion") if k in o} for o in owners
        ]
        out.append(invalid_value("metadata.ownerReferences", quoted(ordered), why))
    return out


def immutable(live: Object, asked: dict[str, Any]) -> list[Cause]:
    """uid (and new finalizers on what is being deleted), as the client sent them."""
    out: list[Cause] = []
    uid = asked.get("uid")
    if uid and uid != live["metadata"]["uid"]:
        cause = invalid_value("metadata.uid", quoted(uid), "field is immutable")
        out += [cause, cause]
    if "deletionTimestamp" in live["metadata"]:
        new = [f for f in asked.get("finalizers") or [] if f not in (live["metadata"].get("finalizers") or [])]
        if new:
            shown = "[]string{" + ", ".join(quoted(f) for f in new) + "}"
            cause = not_allowed(
                "metadata.finalizers",
                f"no new finalizers can be added if the object is being deleted, found new finalizers {shown}",
            )
            out += [cause, cause]
    return out


def namespace_labels(obj: Object) -> list[Cause]:
    out = []
    for mode in SECURITY_LABELS:
        label = f"pod-security.kubernetes.io/{mode}"
        value = (obj["metadata"].get("labels") or {}).get(label)
        if value is not None and value not in ("privileged", "baseline", "restricted"):
            out.append(
                invalid_value(f"metadata.labels[{label}]", quoted(value), "must be one of privileged, baseline, restricted")
            )
    return out

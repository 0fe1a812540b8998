"""Reading manifests: labels, owners, conditions, quantities. Pure; objects are read, never changed, except by
`set_condition`, which is meant to."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from lab.world.kinds import Object

SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("0.001"),
    "k": Decimal(1000),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}


def quantity(text: Any) -> Decimal:
    """A resource.Quantity as a number: "250m" is 0.25, "1Gi" 1073741824."""
    value = str(text)
    for size in (2, 1):
        if value[-size:] in SUFFIXES:
            return Decimal(value[:-size]) * SUFFIXES[value[-size:]]
    return Decimal(value)


def format_quantity(value: Decimal, resource: str) -> str:
    """As the API server prints sums: cpu in cores or millicores, memory in the largest binary unit that divides it."""
    if value != value.to_integral_value():
        return f"{int(value * 1000)}m"
    number = int(value)
    if "memory" in resource or "storage" in resource:
        for suffix in ("Ti", "Gi", "Mi", "Ki"):
            unit = int(SUFFIXES[suffix])
            if number and number % unit == 0:
                return f"{number // unit}{suffix}"
    return str(number)


def labels_of(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """A LabelSelector (matchLabels, matchExpressions). None selects nothing, an empty one everything."""
    if selector is None:
        return False
    if any(labels.get(k) != v for k, v in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression(e, labels) for e in selector.get("matchExpressions") or [])


def _expression(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or []
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case "Gt":
            return key in labels and int(labels[key]) > int(values[0])
        case "Lt":
            return key in labels and int(labels[key]) < int(values[0])
    return False


def controller_of(obj: Object) -> Object | None:
    for owner in obj["metadata"].get("ownerReferences") or []:
        if owner.get("controller"):
            found: Object = owner
            return found
    return None


def owner_reference(owner: Object) -> Object:
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def condition(obj: Object, kind: str) -> Object | None:
    for found in (obj.get("status") or {}).get("conditions") or []:
        if found["type"] == kind:
            result: Object = found
            return result
    return None


def is_true(obj: Object, kind: str) -> bool:
    found = condition(obj, kind)
    return found is not None and found["status"] == "True"


def set_condition(status: Object, entry: Object, now: str, *, updated: bool = False) -> None:
    """Add or replace by type; lastTransitionTime moves only when the status changes."""
    conditions = status.setdefault("conditions", [])
    before = next((c for c in conditions if c["type"] == entry["type"]), None)
    same = before is not None and before["status"] == entry["status"]
    merged = {**entry, "lastTransitionTime": before["lastTransitionTime"] if same and before else now}
    if updated:
        unchanged = before is not None and same and before.get("reason") == entry.get("reason")
        merged["lastUpdateTime"] = before["lastUpdateTime"] if unchanged and before else now
    if before is None:
        conditions.append(merged)
    else:
        conditions[conditions.index(before)] = merged


def drop_condition(status: Object, kind: str) -> None:
    status["conditions"] = [c for c in status.get("conditions") or [] if c["type"] != kind]


def stamp(at: datetime) -> str:
    """metav1.Time: RFC 3339, whole seconds, Z."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_stamp(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)


def pod_requests(pod: Object) -> dict[str, Decimal]:
    """What the scheduler counts: the sum over containers, or the largest init container if that is more."""
    total: dict[str, Decimal] = {}
    for container in pod["spec"].get("containers") or []:
        for resource, amount in ((container.get("resources") or {}).get("requests") or {}).items():
            total[resource] = total.get(resource, Decimal(0)) + quantity(amount)
    for container in pod["spec"].get("initContainers") or []:
        for resource, amount in ((container.get("resources") or {}).get("requests") or {}).items():
            total[resource] = max(total.get(resource, Decimal(0)), quantity(amount))
    return total


def finished(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")

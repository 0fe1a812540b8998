"""Live objects as facts: pure, bounded, and without values that could be secrets. It asks nobody."""

from collections.abc import Mapping
from typing import cast

from sidecar.contract import Json, ObjectRef

Document = dict[str, Json]
_LONGEST = 256
_MOST = 100
# A copy of the whole object, environment values included.
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def key_of(ref: ObjectRef) -> str:
    return f"{ref.kind}/{ref.namespace}/{ref.name}"


def absent() -> Document:
    return {"exists": False}


def own_facts(live: Document) -> Document:
    """What is known of an object by itself alone."""
    metadata = mapping(live, "metadata")
    template = pod_spec(live)
    return {
        "exists": True,
        "uid": text(metadata, "uid"),
        "resource_version": text(metadata, "resourceVersion"),
        "labels": _texts(mapping(metadata, "labels")),
        "annotations": _texts(mapping(metadata, "annotations")),
        "managers": _managers(metadata),
        "replicas": mapping(live, "spec").get("replicas"),
        "ready": _ready(live),
        "service_account": text(template, "serviceAccountName") or text(template, "serviceAccount"),
        "images": _images(template),
        "deleting": "deletionTimestamp" in metadata,
    }


def budget_facts(budget: Document) -> Document:
    status = mapping(budget, "status")
    return {"name": text(mapping(budget, "metadata"), "name"), "disruptions_allowed": status.get("disruptionsAllowed")}


def covers_labels(selector: Mapping[str, Json], labels: Mapping[str, Json]) -> bool:
    """A plain map of labels, as Services select by; an empty one picks nothing."""
    return bool(selector) and all(labels.get(name) == wanted for name, wanted in selector.items())


def selects(budget: Document, labels: Mapping[str, Json]) -> bool:
    """Whether a budget's label selector covers these labels. An operator that is not known covers: rather one too many."""
    selector = mapping(budget, "spec").get("selector")
    if not isinstance(selector, dict):
        return False
    exact = all(labels.get(name) == wanted for name, wanted in mapping(selector, "matchLabels").items())
    return exact and all(_holds(rule, labels) for rule in documents(selector.get("matchExpressions")))


def pod_labels(live: Document) -> Document:
    """The labels that pods of this object carry; its own, if it is a pod."""
    if "template" in mapping(live, "spec"):
        return mapping(mapping(mapping(mapping(live, "spec"), "template"), "metadata"), "labels")
    return mapping(mapping(live, "metadata"), "labels")


def pod_spec(live: Document) -> Document:
    spec = mapping(live, "spec")
    if live.get("kind") == "CronJob":
        spec = mapping(mapping(spec, "jobTemplate"), "spec")
    return mapping(mapping(spec, "template"), "spec") if "template" in spec else spec


def mapping(document: Mapping[str, Json], key: str) -> Document:
    """The mapping under `key`; an empty one where there is none."""
    found = document.get(key)
    return found if isinstance(found, dict) else {}


def documents(value: Json) -> list[Document]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(document: Mapping[str, Json], key: str) -> str:
    found = document.get(key)
    return found if isinstance(found, str) else ""


def number(document: Mapping[str, Json], key: str) -> int | None:
    """A whole number, None for anything else."""
    found = document.get(key)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def segments_of(pointer: str) -> list[str]:
    """RFC 6901."""
    segments = pointer.split("/")[1:]
    return [segment.replace("~1", "/").replace("~0", "~") for segment in segments] if "~" in pointer else segments


def _texts(source: Document) -> Document:
    """Labels or annotations, at most _MOST of them, each at most _LONGEST characters."""
    kept = sorted((key, value) for key, value in source.items() if isinstance(value, str) and key != _LAST_APPLIED)
    return {key: value[:_LONGEST] for key, value in kept[:_MOST]}


def _managers(metadata: Document) -> list[Json]:
    names = {text(entry, "manager")[:_LONGEST] for entry in documents(metadata.get("managedFields"))}
    return cast(list[Json], sorted(names - {""})[:_MOST])


def _ready(live: Document) -> Json:
    """Replicas that are ready; for a pod or node, 1 or 0; null where the kind has no such thing."""
    status = mapping(live, "status")
    if live.get("kind") in {"Pod", "Node"}:
        conditions = documents(status.get("conditions"))
        return int(any(item.get("type") == "Ready" and item.get("status") == "True" for item in conditions))
    if "replicas" in mapping(live, "spec"):
        return status.get("readyReplicas", 0)
    return status.get("numberReady")


def _images(template: Document) -> list[Json]:
    containers = documents(template.get("containers"))[:_MOST]
    return [{"container": text(item, "name"), "image": text(item, "image")[:1024]} for item in containers]


def _holds(rule: Document, labels: Mapping[str, Json]) -> bool:
    key, operator = text(rule, "key"), text(rule, "operator")
    values = rule.get("values")
    listed = values if isinstance(values, list) else []
    match operator:
        case "In":
            return labels.get(key) in listed
        case "NotIn":
            return labels.get(key) not in listed
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case _:
            return True

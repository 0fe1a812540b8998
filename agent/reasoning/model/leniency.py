"""An answer in nearly the right form, put right: what models write otherwise without meaning otherwise. Pure; nothing is made up.

Nothing for null, one thing for a list of one, JSON within a text, a slug in capitals, `deployments` for `Deployment`, quotes in
marks or with dots for what was left out, texts and lists that are longer than they may be.
"""

import re
from collections.abc import Mapping

import orjson

from sidecar.contract import Json

LISTS = {"causes": 3, "refutes": 10, "inference": 10, "unknowns": 10, "remedies": 10, "own_actions": 5, "evidence": 12}
OF_OBJECTS = ("causes", "refutes", "own_actions", "evidence")
TEXTS = {"summary": 3000, "statement": 800, "why": 800, "words": 600}
LONGEST_LINE = 800
KINDS = (
    "Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Service", "ConfigMap", "Secret", "Node",
    "Ingress", "PersistentVolumeClaim", "PersistentVolume", "StorageClass", "HorizontalPodAutoscaler", "NetworkPolicy",
    "ServiceAccount", "Namespace", "ResourceQuota", "LimitRange", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding",
    "PodDisruptionBudget", "EndpointSlice", "Endpoints",
)  # fmt: skip
_KINDS = {one.lower(): one for one in KINDS} | {f"{one.lower()}s": one for one in KINDS if not one.endswith("s")}
_SAID = re.compile(r"\W{0,3}((?:ev|look)-\d+)\W{1,4}(.+)", re.S)
_ID = re.compile(r"\b(ev|look)[-_ ]?(\d+)\b", re.I)
_DOTS = re.compile(r"\s*(?:\.{3,}|…|\[\.\.\.\])\s*")
_MARKS = "`\"'“”‘’ \n\t"


def shaped(document: Mapping[str, Json], name: str) -> dict[str, Json]:
    """`name` is what the answer's tool is called: some wrap it in a call."""
    wrapped = document.get("arguments", document.get("parameters")) if document.get("name") == name else document.get(name)
    wrapped = _loaded(wrapped)
    told = {key: _value(key, value) for key, value in (wrapped if isinstance(wrapped, dict) else document).items()}
    whole: dict[str, Json] = {key: value for key, value in told.items() if value is not None}
    if isinstance(outcome := whole.get("outcome"), str):
        whole["outcome"] = outcome.strip().lower()
    return whole


def _value(key: str, value: Json) -> Json:
    if key == "action":
        return _loaded(value)  # another's form
    if key in LISTS:
        found = _loaded(value)
        many = found if isinstance(found, list) else [] if found in (None, "") else [found]
        return [_item(key, one) for one in many if one is not None][: LISTS[key]]
    if isinstance(value, dict):
        return _object(value)
    if isinstance(value, str):
        return value.strip()[: TEXTS.get(key, len(value))]
    return value


def _item(key: str, one: Json) -> Json:
    one = _loaded(one) if key in OF_OBJECTS else one
    if key == "evidence":
        if isinstance(one, str) and (said := _SAID.fullmatch(one)):
            one = {"evidence": said[1], "words": said[2]}
        return _cited(one) if isinstance(one, dict) else one
    if isinstance(one, dict):
        return _object(one)
    return one.strip()[:LONGEST_LINE] if isinstance(one, str) else one


def _object(one: Mapping[str, Json]) -> dict[str, Json]:
    told = {key: _value(key, value) for key, value in one.items() if value is not None}
    if isinstance(subject := told.get("subject"), str):
        told["subject"] = _named(subject)
    elif isinstance(subject, dict):
        told["subject"] = _subject(subject)
    if isinstance(slug := told.get("cause"), str) and "subject" in told:
        told["cause"] = re.sub(r"[^a-z0-9]+", "-", slug.lower()).strip("-")[:60].strip("-")
    return told


def _cited(one: Mapping[str, Json]) -> dict[str, Json]:
    told: dict[str, Json] = {key: value for key, value in one.items() if value is not None}
    if isinstance(name := told.get("evidence"), str) and (found := _ID.search(name)):
        told["evidence"] = f"{found[1].lower()}-{found[2]}"
    if isinstance(words := told.get("words"), str):
        told["words"] = max(_DOTS.split(words.strip(_MARKS)), key=len).strip(_MARKS)[: TEXTS["words"]]
    return told


def _named(said: str) -> Json:
    """ "Deployment shop/web", "deployment/web" """
    parts = [part for part in re.split(r"[\s/]+", said.strip()) if part]
    if len(parts) not in (2, 3):
        return said
    return _subject({"kind": parts[0], "namespace": parts[1] if len(parts) == 3 else "", "name": parts[-1]})


def _subject(one: Mapping[str, Json]) -> dict[str, Json]:
    told: dict[str, Json] = dict(one)
    if isinstance(kind := told.get("kind"), str):
        last = kind.rpartition("/")[2]
        told["kind"] = _KINDS.get(last.lower(), last)
    if isinstance(name := told.get("name"), str) and "/" in name:
        before, _, told["name"] = name.rpartition("/")
        space = before.rpartition("/")[2]
        if not told.get("namespace") and space.lower() not in _KINDS:
            told["namespace"] = space
    return told


def _loaded(value: Json) -> Json:
    """A list or object that was written as a text."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            found: Json = orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
        return found
    return value

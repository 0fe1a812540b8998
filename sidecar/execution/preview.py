"""What people are shown: a unified YAML diff of exactly what a step changes, built from live objects only.

Never from a text of the plan's author. Values that look secret are masked by a short fingerprint, so that a change shows
and the value does not; control and bidirectional characters are written as escapes. Pure.
"""

import difflib
import operator
import re
from collections.abc import Callable
from typing import assert_never

import yaml

from sidecar import contract
from sidecar.contract import ChangePreview, Json
from sidecar.execution.compile import job_again, reversible
from sidecar.execution.effect import REPLICAS, Effect, Unfit
from sidecar.execution.live import Live
from sidecar.execution.pointer import fingerprint, value_at
from sidecar.execution.veil import Veil, veiled
from sidecar.visible import escaped

MOST_ALERTS = 20
MAX_DIFF = 19_000  # characters; longer is not read any more, and the contract takes 20,000
_NOISE = ("managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink")
_STEMS = (b"passw", b"secret", b"token", b"credential", b"apikey", b"api_key", b"privatekey", b"private_key", b"dsn")
_SECRET_NAME = re.compile(b"|".join(_STEMS).decode(), re.IGNORECASE)


def preview_of(step: contract.Step, live: Live, effect: Effect, after: Live, veil: Veil) -> ChangePreview | Unfit:
    """`after`: what this step leaves, as the API server says or the sidecar reckons. What cannot be shown whole cannot be
    approved. `veil`: takes credentials out of what the cluster says."""
    shown = _before_and_after(step.action, live, effect, after)
    diff = _diff(shown[0], shown[1], str(step.action.target))
    if veil.may_hide(diff):
        now, then = (veiled(_quiet(document), step.action, live, veil) for document in shown)
        diff = _diff(now, then, str(step.action.target))
    diff = escaped(diff)
    if len(diff) > MAX_DIFF:
        return Unfit(code="too-long-to-show", detail=f"the diff has {len(diff)} characters, people are shown at most {MAX_DIFF}")
    undo = reversible(step.action)
    return ChangePreview(
        step=step.id,
        summary=_cut(escaped(summary_of(step.action, effect)), 500),
        diff=diff,
        reversible=bool(undo),
        undo=undo,
    )


def summary_of(action: contract.Action, effect: Effect) -> str:
    target = action.target
    match action:
        case contract.RestartWorkload():
            return f"restart {target}: new pods from the same template"
        case contract.RollbackWorkload(to_revision=revision):
            return f"roll {target} back to revision {revision}"
        case contract.ScaleWorkload(replicas=replicas):
            return f"scale {target} from {effect.before.get(REPLICAS)} to {replicas} replicas"
        case contract.ChangeFields():
            return _fields(list(effect.after), str(target))
        case contract.DeletePod():
            return f"delete {target}"
        case contract.EvictPod():
            return f"evict {target}, within its disruption budgets"
        case contract.CordonNode():
            return f"cordon {target}: no new pods on it"
        case contract.UncordonNode():
            return f"uncordon {target}: it takes pods again"
        case contract.DrainNode(pods=pods):
            return f"cordon {target} and evict {len(pods)} pods from it"
        case contract.CreateObject():
            return f"create {target}"
        case contract.RerunJob(new_name=name):
            return f"run {target} again as Job {name}"
        case contract.SilenceAlert(minutes=minutes, matchers=matchers):
            names = ", ".join(one.value for one in matchers if one.name == "alertname")
            return f"silence {_cut(names, 120) or 'alerts'} about {target} for {minutes} minutes"
        case _:
            assert_never(action)


def _fields(paths: list[str], target: str) -> str:
    """Which object is said before anything that can be too long; the diff shows every field."""
    named = ", ".join(paths[:3])
    if len(paths) <= 3 and len(named) <= 200:
        return f"change {named} of {target}"
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return f"change {len(paths)} field{'s' if len(paths) > 1 else ''} of {target}: {_cut(named, 200)}{more}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _before_and_after(action: contract.Action, live: Live, effect: Effect, after: Live) -> tuple[Json, Json]:
    match action:
        case contract.DrainNode(pods=pods):
            names: Json = [f"{pod.namespace}/{pod.name}" for pod in pods]
            return {"node": live.target, "pods": names}, {"node": after.target, "pods": []}
        case contract.SilenceAlert():
            return _silence(action, live)
        case contract.RerunJob(new_name=name):
            return None, job_again(after.made if after.made is not None else live.target, name)
        case _:
            return live.target, after.target


def _silence(action: contract.SilenceAlert, live: Live) -> tuple[Json, Json]:
    """Every alert by all of its labels, the first so many: what is muted, before and after."""
    said: list[Json] = [
        ", ".join(f"{name}={_cut(value, 200)}" for name, value in sorted(alert.labels.items()))
        for alert in live.firing
        if not alert.silenced
    ]
    shown = said[:MOST_ALERTS] + ([f"and {len(said) - MOST_ALERTS} more"] if len(said) > MOST_ALERTS else [])
    silence: Json = {
        "labels": [f"{one.name}={one.value}" for one in action.matchers],
        "minutes": action.minutes,
        "comment": action.comment,
    }
    return {"firing": shown, "muted": []}, {"firing": [], "muted": shown, "silence": silence}


def _diff(before: Json, after: Json, name: str) -> str:
    old, new = _yaml(before), _yaml(after)
    return "".join(difflib.unified_diff(old, new, f"{name} (now)", f"{name} (then)", n=4))


def _yaml(document: Json) -> list[str]:
    if document is None:
        return []
    text: str = yaml.dump(
        masked(_quiet(document)), Dumper=_Plain, allow_unicode=True, sort_keys=True, default_flow_style=False, width=200
    )
    return text.splitlines(keepends=True)


class _Plain(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # ten times faster where it is there
    """Without anchors: what occurs twice is shown twice."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _quiet(document: Json) -> Json:
    """Without status and bookkeeping, which no step changes."""
    if not isinstance(document, dict):
        return document
    quiet = {name: value for name, value in document.items() if name != "status"}
    if isinstance(quiet.get("node"), dict):
        quiet["node"] = _quiet(quiet["node"])
    metadata = quiet.get("metadata")
    if isinstance(metadata, dict):
        kept = {name: value for name, value in metadata.items() if name not in _NOISE}
        annotations = kept.get("annotations")
        if isinstance(annotations, dict):
            last = "kubectl.kubernetes.io/last-applied-configuration"
            kept["annotations"] = {name: value for name, value in annotations.items() if name != last}
        quiet["metadata"] = kept
    return quiet


def masked(document: Json, text: Callable[[str], str] | None = None) -> Json:
    """Literal values under names that speak of secrets, and everything in a Secret, become fingerprints. Also for the
    journal, where values stand under JSON Pointers: whose variable `.../env/0/value` is, the pointer does not say. `text`:
    what is shown of every other text."""
    if isinstance(document, str):
        return text(document) if text is not None else document
    return _masked(document, secret=value_at(document, ("kind",)) == "Secret", text=text)


def masked_at(pointer: str, value: str) -> str | None:
    """What is shown of a text that stands under this name, or this JSON Pointer, in a map of them; None where it is shown."""
    return _mark(value) if _is_of_a_secret(pointer) else None


def hides_nothing(form: bytes) -> bool:
    """Whether `masked` leaves a document as it is, told from its canonical form alone, in a quarter of the time. False says
    nothing: a word of a text may look like a name."""
    if b'/value":"' in form or not form.isascii():  # beyond ASCII there are letters that are alike in a search without case
        return False
    lower = form.lower()
    return not any(stem in lower for stem in _STEMS)


def _masked(node: Json, *, secret: bool, text: Callable[[str], str] | None) -> Json:
    """What hides nothing comes back as it is, so that most of a document is neither made again nor compared."""
    if isinstance(node, list):
        return _with_each(node, secret=secret, text=text)
    if not isinstance(node, dict):
        return node
    kind = node.get("kind")
    secret = secret or (kind == "Secret" and not {"data", "stringData"}.isdisjoint(node))
    named = node.get("name")
    whose = "value" if isinstance(named, str) and _is_spoken_of(named) else None
    typed = kind is not None or "kind" in node  # else it may be a map of texts, such as ConfigMap data
    changed: dict[str, Json] = {}
    for key, value in node.items():
        if isinstance(value, str):
            if key == whose or (secret and key not in _PLAIN) or (not typed and _is_of_a_secret(key)):
                changed[key] = _mark(value)
            elif text is not None and (said := text(value)) is not value:
                changed[key] = said
        elif value and isinstance(value, _NESTED) and (shown := _masked(value, secret=secret, text=text)) is not value:
            changed[key] = shown
    return {**node, **changed} if changed else node


def _with_each(items: list[Json], *, secret: bool, text: Callable[[str], str] | None) -> Json:
    shown: list[Json] = []
    for item in items:
        if isinstance(item, str):
            shown.append(text(item) if text is not None else item)
        else:
            shown.append(_masked(item, secret=secret, text=text) if item and isinstance(item, _NESTED) else item)
    return items if all(map(operator.is_, shown, items)) else shown


_NESTED = (dict, list)
_PLAIN = ("kind", "apiVersion", "name", "type")


def _speaks_of_secrets(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def _is_of_a_secret(key: str) -> bool:
    known = _KNOWN.get(key)
    return known[1] if known is not None else _remembered(key)[1]


def _is_spoken_of(name: str) -> bool:
    known = _KNOWN.get(name)
    return known[0] if known is not None else _remembered(name)[0]


def _remembered(name: str) -> tuple[bool, bool]:
    """Whether a name speaks of secrets, and whether what goes by it is one: the same few names come again and again."""
    found = _speaks_of_secrets(name), _tells_of_a_secret(name)
    if len(name) <= _LONGEST_KEPT:  # a plan's keys may have a megabyte, and what is kept stays in memory
        if len(_KNOWN) >= _MOST_KEPT:
            _KNOWN.clear()
        _KNOWN[name] = found
    return found


def _tells_of_a_secret(key: str) -> bool:
    """References by name (secretName, tokenPath) are no secrets."""
    spoken_of = _speaks_of_secrets(key) or key.endswith("/value")
    return spoken_of and not key.endswith(("Name", "Path", "Ref")) and key != "secretKeyRef"


_LONGEST_KEPT, _MOST_KEPT = 256, 4096
_KNOWN: dict[str, tuple[bool, bool]] = {}


def _mark(value: Json) -> str:
    return f"<hidden, sha256 {fingerprint(value)[:12]}>"

"""What is left for people after a run: a change for the repository that owns the object, a decision, a look."""

import copy
import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from agent.domain.objects import Manifest
from agent.domain.outcome import Round, RunOutcome
from agent.domain.report import FollowUp
from agent.signals.masking import mask
from sidecar.contract import ChangeFields, CreateObject, Json, ObjectRef, Plan, RollbackWorkload, ScaleWorkload

_ITEM = re.compile(r"\[[0-9]+\]")
_MOST_DOTS = 20  # a number beyond that is a key that looks like one


def advise(
    outcome: RunOutcome,
    rounds: Sequence[Round],
    humans: Sequence[str],
    suggestion: Plan | None = None,
    objects: Sequence[Manifest] = (),
) -> tuple[FollowUp, ...]:
    """`suggestion`: the plan that would have been proposed, had there been a sidecar to propose it to. `objects`: the
    cluster as it is, from which a rollback is told as a change of the template."""
    told = [*_of_denials(rounds, objects), *(FollowUp(kind="human", text=text) for text in humans)]
    if suggestion is not None:
        what = "; ".join(f"{step.action.kind.replace('_', ' ')} {step.action.target}: {step.why}" for step in suggestion.steps)
        told.append(
            FollowUp(kind="human", text=f"The runbook's remedy, not performed: {what}", diff=diff_of(suggestion, objects))
        )
    told.extend(_of_repairs(rounds, objects))
    if rounds:
        told.extend(_of_last(outcome, rounds[-1]))
    for round_ in rounds:
        if round_.undo is not None and not round_.undo.complete:
            left = ", ".join(f"{result.step} on {result.target}" for result in round_.undo.steps if result.status != "performed")
            told.append(FollowUp(kind="human", text=f"Plan {round_.attempt} could not be undone completely: {left}"))
        if round_.settlement is not None and round_.settlement.state == "revocation_pending":
            told.append(
                FollowUp(kind="look", text=f"Lease {round_.settlement.lease}: it is not yet proven that its rights are gone")
            )
    return tuple(dict.fromkeys(told))


def _of_denials(rounds: Sequence[Round], objects: Sequence[Manifest]) -> Iterator[FollowUp]:
    for round_ in rounds:
        if round_.end != "denied" or round_.decision is None:
            continue
        for reason in round_.decision.reasons:
            if reason.fix is None:
                continue
            if reason.fix.op == "commit":
                yield FollowUp(kind="commit", text=reason.fix.text, diff=diff_of(round_.plan, objects))
            elif reason.fix.op in ("human", "wait"):
                yield FollowUp(kind="human", text=reason.fix.text)


def _of_repairs(rounds: Sequence[Round], objects: Sequence[Manifest]) -> Iterator[FollowUp]:
    for round_ in rounds:
        diff = diff_of(round_.plan, objects) if round_.end == "helped" else ""
        rolled_back = any(step.action.kind == "rollback_workload" for step in round_.plan.steps)
        if diff or (round_.end == "helped" and rolled_back):
            yield FollowUp(
                kind="commit",
                text="The cluster was changed live. Make the same change where the manifests come from, or the next "
                "deployment takes it back.",
                diff=diff,
            )


def _of_last(outcome: RunOutcome, last: Round) -> Iterator[FollowUp]:
    match outcome:
        case "refused":
            yield FollowUp(kind="human", text="The plan was refused; the cause is still there. Decide what to do instead.")
        case "no-answer":
            yield FollowUp(kind="human", text="Nobody answered; the cause is still there. The plan can be proposed again.")
        case "ungoverned":
            yield FollowUp(kind="look", text="The sidecar could not be reached: see why, then run the investigation again.")
        case "human-needed" if last.end == "unverified":
            yield FollowUp(
                kind="look", text="The change was made, but its effect could not be seen. Look at it, keep it or undo it."
            )
        case _:
            return


def diff_of(plan: Plan, objects: Sequence[Manifest] = ()) -> str:
    """What the plan wants as a unified diff of YAML, for a repository; empty when it changes no fields."""
    parts = []
    for step in plan.steps:
        target = step.action.target
        name = f"{target.namespace or 'cluster'}/{target.kind.lower()}-{target.name}.yaml"
        match step.action:
            case ChangeFields(changes=changes):
                before = _fragment([(change.path, change.before) for change in changes])
                after = _fragment([(change.path, change.after) for change in changes])
            case ScaleWorkload(replicas=replicas):
                before, after = "", _fragment([("/spec/replicas", replicas)])
            case RollbackWorkload(target=target, to_revision=revision):
                before, after = _templates(target, revision, objects)
            case CreateObject(manifest=manifest):
                before, after = "", yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True)
            case _:
                continue
        lines = difflib.unified_diff(before.splitlines(), after.splitlines(), f"a/{name}", f"b/{name}", lineterm="", n=5)
        parts.append("\n".join(lines))
    return mask("\n".join(parts))


def _templates(target: ObjectRef, revision: int, objects: Sequence[Manifest]) -> tuple[str, str]:
    """The pod template now and at the revision, as Deployments keep it in their ReplicaSets."""
    live = next((found for found in objects if (found.get("metadata") or {}).get("uid") == target.uid), None)
    for found in objects:
        metadata = found.get("metadata") or {}
        owned = any(owner.get("uid") == target.uid for owner in metadata.get("ownerReferences") or ())
        if owned and (metadata.get("annotations") or {}).get("deployment.kubernetes.io/revision") == str(revision) and live:
            return _as_template(live), _as_template(found)
    return "", ""


def _as_template(found: Manifest) -> str:
    template = copy.deepcopy(dict(found.get("spec", {}).get("template", {})))
    (template.get("metadata", {}).get("labels") or {}).pop("pod-template-hash", None)
    spec = template.get("spec", {})
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        for variable in container.get("env") or ():
            if isinstance(variable.get("value"), str):  # what looks like a secret beside its name does not alone
                told = f"{variable.get('name')}={variable['value']}"
                variable["value"] = mask(told).removeprefix(f"{variable.get('name')}=")
    return yaml.safe_dump({"spec": {"template": template}}, sort_keys=True, allow_unicode=True)


def _fragment(fields: Sequence[tuple[str, Json]]) -> str:
    """Only the fields named, as nested YAML; one that is not there (null) leaves its parent."""
    root: dict[str, Any] = {}
    for path, value in fields:
        tokens = [token.replace("~1", "/").replace("~0", "~") for token in path.lstrip("/").split("/")]
        place = root
        for token in tokens[:-1]:
            place = place.setdefault(_key(token), {})
        if value is not None:
            place[_key(tokens[-1])] = value
    return yaml.safe_dump(_listed(root), sort_keys=False, allow_unicode=True, default_flow_style=False) if root else ""


def _listed(node: Any) -> Any:
    """With items of lists as such; those before the one that is meant are dots, because they stay as they are."""
    if not isinstance(node, dict):
        return node
    items = {int(key[1:-1]): _listed(value) for key, value in node.items() if _ITEM.fullmatch(key)}
    if items and len(items) == len(node) and max(items) <= _MOST_DOTS:
        return [items.get(number, "...") for number in range(max(items) + 1)]
    return {key: _listed(value) for key, value in node.items()}


def _key(token: str) -> str:
    return f"[{token}]" if token.isdigit() else token

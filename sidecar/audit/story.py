"""The records of one plan as a story: who asked, on what grounds, who allowed it, what was done, what was seen, how it ended.

Pure: records in, nouns out. It takes nothing for granted: a record may be missing, or hold what it should not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to the plan: when, by whom, what, as one line."""

    seq: int
    at: str
    actor: str
    what: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """A step, done or undone. `ended` is "" while its end is not known."""

    id: str
    direction: str
    what: str
    target: str
    began: str = ""
    ended: str = ""
    status: str = "not tried"
    reason: str = ""
    message: str = ""
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """`said`: the outcome, in the agent's word; `observed` and `contradictions` are the sidecar's own. `gaps`: what the record
    does not show, though it should."""

    plan: str
    incident: str = ""
    cluster: str = ""
    first: int = 0
    last: int = 0
    asked_at: str = ""
    asked_by: str = ""
    on_behalf_of: str = ""
    cause: str = ""
    hypothesis: str = ""
    basis: str = ""  # "model" where the agent says that a language model is behind it
    evidence: tuple[str, ...] = ()
    verification: tuple[str, ...] = ()
    verdicts: tuple[Event, ...] = ()
    reasons: tuple[str, ...] = ()
    wanted: str = ""
    little_time: str = ""  # why a lease lasts less than usual, where it does
    policy: str = ""
    answers: tuple[Event, ...] = ()
    lease: str = ""
    late: tuple[str, ...] = ()
    identity: str = ""
    claimed_at: str = ""
    granted_at: str = ""
    expires_at: str = ""
    rights: tuple[str, ...] = ()
    steps: tuple[Try, ...] = ()
    said: str = ""
    said_by: str = ""
    ending_at: str = ""
    ending_why: str = ""
    ended_at: str = ""
    end: str = ""
    refusal: str = ""
    refused_after_ms: float | None = None
    observed: tuple[str, ...] = ()
    contradictions: tuple[str, ...] = ()
    others: tuple[Event, ...] = ()
    gaps: tuple[str, ...] = ()
    seqs: tuple[int, ...] = ()


def story_of(plan: str, records: Sequence[Document]) -> Story:
    """`records`: those of the plan and its lease, and those of the whole sidecar that concern it, in order."""
    story = Story(plan=plan)
    for record in records:
        story = replace(_told(story, record, _dict(record.get("body"))), seqs=(*story.seqs, int(record["seq"])))
    seqs = story.seqs or (0,)
    return replace(story, first=seqs[0], last=seqs[-1], gaps=tuple(_gaps(story)))


def _told(story: Story, record: Document, body: dict[str, Any]) -> Story:
    kind, at, actor = str(record["kind"]), str(record["at"]), str(record["actor"])
    if kind == "lease-claimed" and body.get("undoes"):
        story = replace(story, late=(*story.late, str(record["lease"])))
    if kind.startswith("lease-") and record["lease"] in story.late:
        settlement = _dict(body.get("settlement"))
        after = f", refused {settlement.get('refusal')} after {settlement.get('refused_after_ms')} ms" if settlement else ""
        what = f"{kind.replace('-', ' ')} {record['lease']}, to take back after its time{after}"
        return replace(story, others=(*story.others, _event(record, what, str(body.get("detail") or ""))))
    match kind:
        case "plan-decided":
            return _decided(story, record, body)
        case "answer":
            asked = f"{body.get('verdict')} via {body.get('via')}" + (" breaking the glass" if body.get("glass") else "")
            detail = "; ".join(
                filter(None, [f'"{body["reason"]}"' if body.get("reason") else "", f"so it is {body.get('comes_to')}"])
            )
            return replace(story, answers=(*story.answers, _event(record, asked, detail)))
        case "answer-refused":
            asked = f"{body.get('verdict') or 'an answer'} via {body.get('via') or '?'}: not taken"
            return replace(story, answers=(*story.answers, _event(record, asked, str(body.get("code") or ""))))
        case "lease-claimed":
            rights = tuple(_right(_dict(right)) for right in _list(body.get("rights")))
            identity, expires = str(body.get("identity") or ""), str(body.get("expires_at") or "")
            return replace(story, lease=str(record["lease"]), claimed_at=at, identity=identity, expires_at=expires, rights=rights)
        case "lease-granted":
            return replace(story, granted_at=at)
        case "step-began":
            return _began(story, at, body)
        case "step-performed" | "step-refused" | "step-failed":
            return _ended(story, at, kind.removeprefix("step-"), body)
        case "lease-ending":
            said, why = str(body.get("outcome") or ""), str(body.get("why") or "")
            return replace(story, said=said, said_by=actor, ending_at=at, ending_why=why)
        case "lease-settled" | "lease-revocation-pending":
            return _settled(story, at, kind.removeprefix("lease-"), body)
        case _:
            gist = body.get("reason") or body.get("code") or body.get("message") or body.get("detail") or ""
            step = f"{body['step']}: " if body.get("step") else ""
            return replace(story, others=(*story.others, _event(record, kind.replace("-", " "), f"{step}{gist}")))


def _decided(story: Story, record: Document, body: dict[str, Any]) -> Story:
    decision, plan = _dict(body.get("decision")), _dict(body.get("plan"))
    reasons = tuple(_reason(_dict(reason)) for reason in _list(decision.get("reasons")))
    wanted, approvals = "", _dict(decision.get("approvals"))
    if approvals:
        roles = " or ".join(map(str, _list(approvals.get("roles"))))
        wanted = f"{approvals.get('count')} of {roles}, within {_minutes(approvals.get('expires_seconds'))}"
    story = replace(
        story,
        verdicts=(*story.verdicts, _event(record, str(decision.get("verdict") or "?"), "")),
        reasons=reasons,
        wanted=wanted,
        little_time=str(decision.get("lease_ends") or ""),
        policy=str(decision.get("revision") or ""),
    )
    if not plan:
        return story
    cause = _dict(plan.get("cause"))
    return replace(
        story,
        incident=str(plan.get("incident") or ""),
        cluster=str(plan.get("cluster") or ""),
        asked_at=str(record["at"]),
        asked_by=str(record["actor"]),
        on_behalf_of=str(plan.get("requested_by") or ""),
        cause=f"{cause.get('slug')} of {_name(_dict(cause.get('subject')))}",
        hypothesis=str(plan.get("hypothesis") or ""),
        basis=str(plan.get("basis") or ""),
        evidence=tuple(f"{c.get('id')} sha256:{str(c.get('sha256'))[:12]}" for c in map(_dict, _list(plan.get("cited")))),
        verification=tuple(str(c.get("description")) for c in map(_dict, _list(plan.get("verification")))),
        steps=tuple(_step(_dict(step)) for step in _list(plan.get("steps"))),
    )


def _step(step: dict[str, Any]) -> Try:
    action = _dict(step.get("action"))
    told = {name: value for name, value in action.items() if name in ("to_revision", "replicas", "new_name", "minutes")}
    what = str(action.get("kind")).replace("_", " ") + "".join(f" {name}={value}" for name, value in told.items())
    return Try(id=str(step.get("id")), direction="do", what=what, target=_name(_dict(action.get("target"))))


def _began(story: Story, at: str, body: dict[str, Any]) -> Story:
    effect = _dict(body.get("effect"))
    before, after = _dict(effect.get("before")), _dict(effect.get("after"))
    if body.get("direction") == "undo":
        before, after = after, before
    return _with(story, body, began=at, status="no end on record", before=before, after=after)


def _ended(story: Story, at: str, status: str, body: dict[str, Any]) -> Story:
    result = _dict(body.get("result"))
    changes: dict[str, Any] = {"ended": at, "status": status}
    changes |= {"reason": str(result.get("reason") or ""), "message": str(result.get("message") or "")}
    if status == "performed":
        changes |= {"before": _dict(result.get("before")), "after": _dict(result.get("after"))}
    return _with(story, {"step": result.get("step"), "direction": body.get("direction")}, **changes)


def _with(story: Story, body: dict[str, Any], **changes: Any) -> Story:
    """The story with one of its tries changed; an undo joins it when it begins."""
    step, direction = str(body.get("step")), str(body.get("direction") or "do")
    tries = list(story.steps)
    at = next((i for i, one in enumerate(tries) if (one.id, one.direction) == (step, direction)), None)
    if at is None:
        done = next((one for one in tries if one.id == step), Try(id=step, direction="do", what="", target=""))
        tries.append(Try(id=step, direction=direction, what=done.what, target=done.target))
        at = len(tries) - 1
    tries[at] = replace(tries[at], **changes)
    return replace(story, steps=tuple(tries))


def _settled(story: Story, at: str, state: str, body: dict[str, Any]) -> Story:
    settlement, seen = _dict(body.get("settlement")), _dict(body.get("observed"))
    after = settlement.get("refused_after_ms")
    return replace(
        story,
        ended_at=at,
        end=state.replace("-", " ") + "".join(f"; still there: {left}" for left in _list(body.get("pending"))),
        said=str(settlement.get("outcome") or story.said),
        refusal=str(settlement.get("refusal") or ""),
        refused_after_ms=float(after) if isinstance(after, (int, float)) else None,
        observed=(
            *(f"{step} is {state}" for step, state in _dict(seen.get("steps")).items()),
            *map(str, _list(seen.get("subject"))),
        ),
        contradictions=tuple(map(str, _list(seen.get("contradictions")))),
    )


def _gaps(story: Story) -> Iterable[str]:
    if not story.asked_at:
        yield "the plan itself is not in the record"
    for one in story.steps:
        if one.began and not one.ended:
            yield f"{one.id} ({one.direction}) began at {one.began[:19]}Z and has no end"
    if story.claimed_at and not story.granted_at and not story.ended_at:
        yield "rights were about to be made, and it is not on record that they were"
    if story.claimed_at and not story.ended_at:
        yield "the lease has no end yet"
    if story.end.startswith("revocation"):
        yield "it was not yet seen that everything is gone"
    if story.ended_at and story.granted_at and story.refused_after_ms is None:
        yield "it was not measured when the old token was refused"


def _event(record: Document, what: str, detail: str) -> Event:
    return Event(seq=int(record["seq"]), at=str(record["at"]), actor=str(record["actor"]), what=what, detail=detail)


def _right(right: dict[str, Any]) -> str:
    group = f".{right['group']}" if right.get("group") else ""
    names = ", ".join(map(str, _list(right.get("names"))))
    where = f" in {right['namespace']}" if right.get("namespace") else ""
    return f"{', '.join(map(str, _list(right.get('verbs'))))} {right.get('resource')}{group} {names}{where}"


def _reason(reason: dict[str, Any]) -> str:
    step = f" ({reason['step']})" if reason.get("step") else ""
    fix = f" -> {_dict(reason.get('fix')).get('text')}" if reason.get("fix") else ""
    return f"{reason.get('rule')}{step}: {reason.get('message')}{fix}"


def _name(target: dict[str, Any]) -> str:
    place = f"{target.get('namespace')}/" if target.get("namespace") else ""
    return f"{target.get('kind')} {place}{target.get('name')}"


def _minutes(seconds: object) -> str:
    return f"{seconds // 60} min" if isinstance(seconds, int) and seconds >= 60 else f"{seconds} s"


def _dict(node: object) -> dict[str, Any]:
    return dict(node) if isinstance(node, Mapping) else {}


def _list(node: object) -> list[Any]:
    return list(node) if isinstance(node, (list, tuple)) else []

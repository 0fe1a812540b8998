"""Carries a silence out, or back: noted before, made once in Alertmanager, noted after, as every other step.

No right of the cluster is needed for it; it is held to the lease all the same. Knows no rule of who may.
"""

from datetime import timedelta

from sidecar.approvals import store as approvals
from sidecar.contract import SilenceAlert
from sidecar.errors import AlertmanagerRefused
from sidecar.execution import escaped
from sidecar.execution.effect import SILENCE
from sidecar.gate.desk import Desk
from sidecar.gate.ending import Stored
from sidecar.gate.silenced import end_all, identifier_of, mapping, marker_of
from sidecar.gate.stop import why_over
from sidecar.gate.task import No, Task
from sidecar.ports import NewSilence

_MOST_SAID = 200  # characters of the plan's own comment, of the incident, and of who approved


def is_silence(task: Task) -> bool:
    return isinstance(task.step.action, SilenceAlert)


def known_silence(task: Task, *, desk: Desk) -> Stored | None:
    """What became of a silence whose end was lost; None when it was not made, or, on the way back, stands still.

    Raises ClusterUnavailable.
    """
    found = desk.silencer.made(_marker(task), identifier_of(task.effect.after))
    if task.direction == "undo":
        return None if found is not None and found.stands else Stored(shown=None, was=None)
    return _stored(task, found.id, found.ends_at) if found is not None else None


def carry_silence(task: Task, *, desk: Desk) -> Stored | No:
    """Make it, or end it. Raises ClusterUnavailable where nobody can tell what became of it: the step stays begun."""
    if over := why_over(task.held.lease, taking_back=task.direction == "undo", desk=desk):
        return No(status="refused", reason="lease-over", message=over)
    if desk.silencer.absent:
        return No(status="failed", reason="unsupported", message=desk.silencer.absent)
    if task.direction == "undo":
        end_all(_marker(task), identifier_of(task.effect.after), desk=desk)
        return Stored(shown=None, was=None)
    action = task.step.action
    if not isinstance(action, SilenceAlert):
        raise TypeError("not a silence")
    now = desk.ledger.now()
    ends_at = now + timedelta(minutes=action.minutes)
    marker = _marker(task)
    wanted = NewSilence(
        matchers=action.matchers, starts_at=now, ends_at=ends_at, comment=_comment(task, action, desk=desk), marker=marker
    )
    try:
        made = desk.silencer.make(wanted)
    except AlertmanagerRefused as exc:
        return No(status="failed", reason="invalid", message=str(exc))
    return _stored(task, made, ends_at.isoformat())


def _marker(task: Task) -> str:
    """Of the lease under which it was made, also on the way back under another one."""
    return marker_of(task.held.undoes or task.held.lease.id, task.step.id)


def _stored(task: Task, identifier: str, ends_at: str) -> Stored:
    wanted = mapping(task.effect.after.get(SILENCE))
    return Stored(shown={"silence": {**wanted, "id": identifier, "until": ends_at}}, was=None)


def _comment(task: Task, action: SilenceAlert, *, desk: Desk) -> str:
    lease = task.held.lease
    with desk.ledger.read() as connection:
        answers = approvals.answers_to(connection, lease.plan)
    people = sorted({given.person for given in answers if given.verdict == "approve"})
    by = f"approved by {', '.join(people)}" if people else "allowed by policy"
    said = f"{_cut(action.comment)} " if action.comment.strip() else ""
    about = f"incident {_cut(task.held.incident)}, plan {lease.plan[:12]}, {_cut(by)}"
    return f"{said}[{about}] {_marker(task)}"


def _cut(text: str) -> str:
    flat = escaped(" ".join(text.split()))
    return flat if len(flat) <= _MOST_SAID else flat[: _MOST_SAID - 1] + "…"

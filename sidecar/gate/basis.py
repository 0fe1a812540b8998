"""What a plan says that it rests on, held against what the agent said before. Judges no plan: the policy does.

The basis is the agent's word. What the sidecar can see of it is a change of mind: cause or action of an incident that were a
model's word once do not become the checks' own by saying so. Where checks find the same later, people are asked all the same.
"""

from sqlalchemy import Connection

from sidecar.approvals import store as approvals
from sidecar.contract import Fix, Plan, Reason


def changed_its_word(plan: Plan, connection: Connection) -> Reason | None:
    """An objection to a plan on checks where one of its incident said "model" of the same."""
    if not any(_are_about_the_same(plan, earlier) for earlier in approvals.on_model(connection, plan.incident)):
        return None
    return Reason(
        rule="basis-changed",
        message="an earlier plan of this incident named the same cause, or the same action, as a language model's word",
        fix=Fix(op="replace", text="say that it rests on a model: people are asked then", path="/basis", value="model"),
    )


def _are_about_the_same(one: Plan, other: Plan) -> bool:
    same_cause = (one.cause.slug, one.cause.subject) == (other.cause.slug, other.cause.subject)
    return same_cause or not _deeds(one).isdisjoint(_deeds(other))


def _deeds(plan: Plan) -> set[tuple[str, str]]:
    return {(step.action.kind, str(step.action.target)) for step in plan.steps}

"""A plan against the live objects, step by step, each as the steps before it will leave them. Pure but for the looking."""

from dataclasses import dataclass, replace
from functools import cached_property

from sidecar.contract import ChangeFields, Json, Plan, Reason, Step, target_of
from sidecar.errors import ClusterUnavailable
from sidecar.execution import Effect, Live, Unfit, effect_of, foreseen, look, projected
from sidecar.ports import Looking


@dataclass(frozen=True, kw_only=True)
class Examined:
    """`live`: what the step finds. `repeated`: an earlier step changes the same object, so that `live` is reckoned as well."""

    step: Step
    live: Live
    effect: Effect
    repeated: bool

    @cached_property
    def after(self) -> Live:
        """What the step leaves, as the sidecar reckons it."""
        return projected(self.step.action, self.live, self.effect)


def examine(plan: Plan, *, through: Looking) -> tuple[list[Reason], tuple[Examined, ...], dict[str, Json]]:
    """The first objection, or what each step finds and leaves, and the effects to be kept (JSON, by step)."""
    left: dict[str, Examined] = {}
    touched: set[str] = set()
    found: list[Examined] = []
    effects: dict[str, Json] = {}
    through.ahead(call for step in plan.steps for call in foreseen(step.action))
    for step in plan.steps:
        action, name = step.action, str(step.action.target)
        try:
            live = look(action, through, through)
        except ClusterUnavailable as exc:
            return [Reason(rule="target-unreadable", step=step.id, message=str(exc)[:500])], (), {}
        names = {str(target) for target in target_of(action)}
        earlier = left.get(name)
        if earlier is not None:
            live = live.with_target(earlier.after.target)
        effect = effect_of(action, live)
        if isinstance(effect, Unfit):
            return [Reason(rule=effect.code, step=step.id, message=effect.detail[:500])], (), {}
        left[name] = examined = Examined(step=step, live=live, effect=effect, repeated=bool(names & touched))
        if not isinstance(action, ChangeFields):  # of a field it is known that there is a place for it
            _ = examined.after
        found.append(examined)
        touched |= names
        # After an earlier step the API server may have filled in defaults: a fingerprint of the whole would not hold.
        effects[step.id] = (effect if earlier is None else replace(effect, sealed={})).document()
    return [], tuple(found), effects

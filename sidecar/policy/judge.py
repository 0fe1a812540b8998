"""The judge: asks the engine, and turns everything that is not a plain verdict into a denial. It knows no engine's name."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from sidecar.contract import Decision, Fix, Plan, Reason
from sidecar.errors import PolicyUnavailable
from sidecar.policy.document import MalformedVerdict, denial, to_decision, to_input
from sidecar.policy.engine import Engine
from sidecar.ports import Facts, nothing


def utc_now() -> datetime:
    return datetime.now(UTC)


class RegoJudge:
    """Implements sidecar.ports.Judge."""

    def __init__(
        self,
        engine: Engine,
        *,
        zones: Sequence[str],
        unread: frozenset[str] = frozenset(),
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """`zones`, `unread`: as the bundle has them."""
        self._engine = engine
        self._zones, self.unread = tuple(zones), unread
        self._now = now

    @property
    def revision(self) -> str:
        return self._engine.revision

    def why_not(self) -> str:
        """Why every verdict would be a denial just now, "" if that is not so."""
        return self._engine.why_not()

    def decide(self, plan: Plan, facts: Facts, *, meanwhile: Callable[[], None] = nothing) -> Decision:
        at, revision = self._now(), self.revision
        try:
            document = to_input(plan.plain_form, facts.but_for(self.unread), self._zones, self.unread)
            value = self._engine.ask(document, meanwhile=meanwhile)
            decision = to_decision(value, plan=plan, facts=facts, revision=revision, at=at)
        except PolicyUnavailable as exc:
            return denial([_engine_failed("policy-unavailable", exc)], plan=plan, facts=facts, revision=revision, at=at)
        except MalformedVerdict as exc:
            return denial([_engine_failed("policy-malformed", exc)], plan=plan, facts=facts, revision=revision, at=at)
        except Exception as exc:  # noqa: BLE001  the port never raises: what nobody thought of is a no as well
            reason = _engine_failed("policy-unavailable", type(exc).__name__)
            return denial([reason], plan=plan, facts=facts, revision=revision, at=at)
        if not facts.missing:
            return decision
        kept = decision.reasons if decision.verdict == "deny" else ()
        reasons = [*_missing(facts.missing), *kept]
        return denial(reasons, plan=plan, facts=facts, revision=revision, at=at)


def _engine_failed(rule: str, what: object) -> Reason:
    return Reason(
        rule=rule,
        message=f"no verdict: {' '.join(str(what).split())}"[:500],
        fix=Fix(op="wait", text="submit it again when the policy engine answers"),
    )


def _missing(names: Sequence[str]) -> Iterator[Reason]:
    for name in names[:50]:
        yield Reason(
            rule="fact-missing",
            message=f"could not be looked up: {' '.join(name.split())}"[:500],
            fix=Fix(op="wait", text="submit it again when this can be looked up"),
        )

"""Plans of the record, judged again by another bundle from the facts of that day: what would be decided otherwise. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from sidecar.contract import Decision, Json, Plan
from sidecar.policy.judge import RegoJudge
from sidecar.ports import Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One verdict of the record, and the one by the other bundle. `before`, `rules_before`: what the policy alone said, the
    sidecar's own objections left out. `unknown`: why it cannot be judged again, "" if it was."""

    seq: int
    at: str
    plan: str
    before: str
    rules_before: frozenset[str] = frozenset()
    after: str = ""
    rules_after: frozenset[str] = frozenset()
    approvals_changed: bool = False
    unknown: str = ""

    @property
    def changed(self) -> bool:
        """Another verdict, or other people asked. Other reasons for the same no are no other decision."""
        return not self.unknown and (self.before != self.after or self.approvals_changed)

    def line(self) -> str:
        if self.unknown:
            return f"{self.seq:>6}  {self.at[:19]}Z  {self.plan[:12]}  {self.before}: not judged again: {self.unknown}"
        gone, new = sorted(self.rules_before - self.rules_after), sorted(self.rules_after - self.rules_before)
        said = [*(f"no longer {rule}" for rule in gone), *(f"now {rule}" for rule in new)]
        if self.approvals_changed and self.before == self.after:
            said.append("other people are asked")
        return f"{self.seq:>6}  {self.at[:19]}Z  {self.plan[:12]}  {self.before} -> {self.after}  {'; '.join(said)}".rstrip()


def replayed(records: Iterable[Mapping[str, Json]], judge: RegoJudge, *, since: datetime | None = None) -> Iterator[Replayed]:
    """`records`: the whole journal in order (a plan stands in it once, with its first verdict). Values that look secret are
    masked there, so a rule about such a value may see another one than on that day."""
    plans: dict[str, Json] = {}
    for record in records:
        body = record.get("body")
        if record.get("kind") != "plan-decided" or not isinstance(body, dict):
            continue
        digest, at = str(record["plan"]), str(record["at"])
        if body.get("plan") is not None:
            plans[digest] = body["plan"]
        if since is None or datetime.fromisoformat(at) >= since:
            yield _again(int(str(record["seq"])), at, digest, plans.get(digest), body, judge)


def _again(seq: int, at: str, digest: str, document: Json, body: dict[str, Json], judge: RegoJudge) -> Replayed:
    before, rules_before = _said(body)
    facts = body.get("facts")
    if not isinstance(document, dict) or not isinstance(facts, dict):
        return Replayed(seq=seq, at=at, plan=digest, before=before, unknown="the record holds no facts or no plan")
    try:
        plan = Plan.model_validate(document, strict=False)
        recorded = Decision.model_validate(body.get("decision"), strict=False)
    except ValidationError:
        return Replayed(seq=seq, at=at, plan=digest, before=before, unknown="the plan as recorded cannot be read")
    decision = judge.decide(plan, Facts(document=facts, missing=(), gathered_at=recorded.decided_at))
    if any(reason.rule == "policy-unavailable" for reason in decision.reasons):
        return Replayed(seq=seq, at=at, plan=digest, before=before, unknown=decision.reasons[0].message)
    asked_anew = decision.verdict == recorded.verdict == "review" and decision.approvals != recorded.approvals
    return Replayed(
        seq=seq,
        at=at,
        plan=digest,
        before=before,
        rules_before=rules_before,
        after=decision.verdict,
        rules_after=frozenset(reason.rule for reason in decision.reasons),
        approvals_changed=asked_anew,
    )


def _said(body: dict[str, Json]) -> tuple[str, frozenset[str]]:
    """By the policy alone; where the record does not tell it apart, by all."""
    policy, decision = body.get("policy"), body.get("decision")
    if isinstance(policy, dict) and isinstance(rules := policy.get("rules"), list):
        return str(policy.get("verdict")), frozenset(str(rule) for rule in rules)
    reasons = decision.get("reasons") if isinstance(decision, dict) else None
    rules = [reason.get("rule") for reason in reasons if isinstance(reason, dict)] if isinstance(reasons, list) else []
    return str(decision.get("verdict")) if isinstance(decision, dict) else "", frozenset(str(rule) for rule in rules)

"""What the rules say to one plan, and which of them speak. For people; the judge does not use it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sidecar.contract import Decision, Json, Plan
from sidecar.policy.bundle import PolicyBundle
from sidecar.policy.caged import EmbeddedEngine
from sidecar.policy.document import to_input
from sidecar.policy.judge import RegoJudge
from sidecar.ports import Facts

_TITLE = re.compile(r"^# title:\s*(.+)$", re.MULTILINE)
_PACKAGE = re.compile(r"^package remediation\.(permits|guards)\.(\w+)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """`permits`: step to the permits that cover it. `guards`: name to what it objects to, and what it puts before people."""

    decision: Decision
    permits: dict[str, list[str]]
    guards: dict[str, dict[str, Json]]
    titles: dict[str, str]
    facts: dict[str, Json]

    def lines(self) -> Iterator[str]:
        decision = self.decision
        yield f"{decision.verdict}  plan {decision.plan[:12]}, by revision {decision.revision[:12]}"
        for reason in decision.reasons:
            yield f"  {reason.step or 'the plan'}: {reason.rule}: {reason.message}"
            if reason.fix is not None:
                value = f" ({reason.fix.path} = {reason.fix.value})" if reason.fix.path else ""
                yield f"    what would pass: {reason.fix.op}: {reason.fix.text}{value}"
        if decision.approvals is not None:
            wanted = decision.approvals
            yield f"  asked are {wanted.count} of {', '.join(wanted.roles)}, within {wanted.expires_seconds} s"
        if decision.lease_ends:
            yield f"  little time: {decision.lease_ends}"
        yield "permits:"
        for step, names in self.permits.items():
            yield f"  {step}: {', '.join(names) or 'none'}"
        yield "guards:"
        for name, said in self.guards.items():
            what = [word for word, key in (("objects", "deny"), ("puts it before people", "review")) if said.get(key)]
            yield f"  {name}: {' and '.join(what) or 'silent'}  ({self.titles.get(name, '')})"
        yield "facts:"
        yield from (f"  {line}" for line in _outline(self.facts))


def explained(plan: Plan, facts: dict[str, Json], bundle: PolicyBundle) -> Account:
    """Raises BundleRefused when the bundle does not compile, PolicyUnavailable when the engine gives no account."""
    engine = EmbeddedEngine(bundle)
    judge = RegoJudge(engine, zones=bundle.zones, unread=bundle.unread)
    decision = judge.decide(plan, Facts(document=facts, missing=(), gathered_at=datetime.now(UTC)))
    engine.close()
    whole = EmbeddedEngine(bundle, rule="data.remediation")
    try:
        said = whole.ask(to_input(plan.document(), facts, bundle.zones, bundle.unread))
    finally:
        whole.close()
    rules = said if isinstance(said, dict) else {}
    permits = {
        step.id: [name for name, permit in _parts(rules, "permits") if step.id in _listed(permit, "permit")]
        for step in plan.steps
    }
    guards: dict[str, dict[str, Json]] = {
        name: {"deny": _listed(guard, "deny"), "review": _listed(guard, "review")} for name, guard in _parts(rules, "guards")
    }
    known = {name: title for kind in ("permits", "guards") for name, title in titles(bundle, kind)}
    return Account(decision=decision, permits=permits, guards=guards, titles=known, facts=facts)


def titles(bundle: PolicyBundle, kind: str) -> list[tuple[str, str]]:
    """(name, title from METADATA) of every permit or guard, by name."""
    found = []
    for _, text in bundle.modules:
        package, title = _PACKAGE.search(text), _TITLE.search(text)
        if package is not None and package.group(1) == kind:
            found.append((package.group(2), title.group(1) if title else ""))
    return sorted(found)


def _parts(rules: dict[str, Json], kind: str) -> list[tuple[str, dict[str, Json]]]:
    part = rules.get(kind)
    return sorted((name, value) for name, value in part.items() if isinstance(value, dict)) if isinstance(part, dict) else []


def _listed(part: dict[str, Json], key: str) -> list[Json]:
    value = part.get(key)
    return value if isinstance(value, list) else []


def _outline(facts: dict[str, Json]) -> Iterator[str]:
    """Two levels of the facts, one line each; deeper ones as they are, cut."""
    for key, value in facts.items():
        if not isinstance(value, dict):
            yield f"{key}: {value}"
            continue
        for name, below in value.items():
            text = str(below)
            yield f"{key}.{name}: {text if len(text) <= 200 else text[:197] + '...'}"

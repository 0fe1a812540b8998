"""Plans, facts and small bundles for tests of the judge."""

from datetime import UTC, datetime
from typing import Any

from sidecar.contract import Cause, Citation, Json, ObjectRef, Plan, ScaleWorkload, Step
from sidecar.policy import PolicyBundle, load, policies_folder
from sidecar.policy.bundle import assemble
from sidecar.ports import Facts

NOW = datetime(2026, 11, 18, 10, 0, tzinfo=UTC)
CHECKOUT = ObjectRef(api_version="apps/v1", kind="Deployment", namespace="shop", name="checkout", uid="uid-checkout")


def plan(replicas: int = 6, **changes: Any) -> Plan:
    whole: dict[str, Any] = {
        "incident": "incident-1",
        "attempt": 1,
        "cluster": "main",
        "cause": Cause(slug="oom-killed", subject=CHECKOUT),
        "hypothesis": "It is what the evidence says.",
        "cited": (Citation(id="evidence-1", sha256="ab" * 32),),
        "steps": (Step(id="step-1", action=ScaleWorkload(target=CHECKOUT, replicas=replicas), why="why", expect="better"),),
    }
    return Plan(**(whole | changes))


SHIPPED = load(policies_folder())


def facts(*missing: str, **changes: Json) -> Facts:
    document: Any = SHIPPED.documents["scale"]
    return Facts(document={**document["facts"], **changes}, missing=missing, gathered_at=NOW)


def bundle_of(decision: str, *more: tuple[str, str]) -> PolicyBundle:
    """The shipped data, with these modules and no others."""
    return assemble((("remediation/decision.rego", decision), *more), SHIPPED.raw_data, documents=SHIPPED.documents)


ALLOWS_ALL = """package remediation

decision := {"verdict": "allow", "reasons": [], "approvals": null, "lease_seconds": 900}
"""
# What many bundles look like: it objects to what it knows to be bad.
DENY_STYLE = """package remediation

decision := {"verdict": "deny", "reasons": [reason | some reason in bad], "approvals": null, "lease_seconds": 0} if count(bad) > 0

decision := {"verdict": "allow", "reasons": [], "approvals": null, "lease_seconds": 900} if count(bad) == 0

bad contains {"rule": "too-many", "step": step.id, "message": "too many", "fix": null} if {
	some step in input.plan.steps
	step.action.replicas > 10
}

bad contains {"rule": "fenced", "step": step.id, "message": "fenced", "fix": null} if {
	some step in input.plan.steps
	step.action.target.namespace in data.platform.fenced.namespaces
}
"""
SLOW_ON_DEMAND = """package remediation

decision := {"verdict": "allow", "reasons": [], "approvals": null, "lease_seconds": 900} if {
	input.plan.incident == "quick"
}

decision := {"verdict": "allow", "reasons": [], "approvals": null, "lease_seconds": count(found)} if {
	input.plan.incident != "quick"
	many := [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30]
	found := [1 | some a in many; some b in many; some c in many; some d in many; some e in many; (((a * b) * c) * d) * e == 0]
}
"""

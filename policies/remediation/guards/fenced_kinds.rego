# METADATA
# title: Fenced kinds
# description: Kinds that grant rights, hold secrets or change the API itself are never a target, in whatever spelling.
package remediation.guards.fenced_kinds

import data.remediation.plan

deny contains reason if {
	some kind in plan.kinds
	not open(kind)
	some step in input.plan.steps
	some target in plan.targets(step)
	target.kind == kind
	reason := {
		"rule": "fenced-kind",
		"step": step.id,
		"message": concat("", ["objects of kind ", target.kind, " are never changed by an agent"]),
		"fix": {"op": "human", "text": "a person makes this change, through the way that is kept for it"},
	}
}

open(kind) if {
	count(fenced) > 0
	not lower(kind) in fenced
}

fenced := {variant |
	some name in data.platform.fenced.kinds
	some variant in [lower(name), concat("", [lower(name), "s"])]
}

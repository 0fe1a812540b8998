# METADATA
# title: One lease per target
# description: What another plan's live lease may change is left alone until that lease is over.
package remediation.guards.leased_targets

import data.remediation.plan

deny contains reason if {
	some step in input.plan.steps
	some target in plan.targets(step)
	not free(target)
	reason := {
		"rule": "target-leased",
		"step": step.id,
		"message": concat("", [target.kind, " ", target.name, " is under the lease of another plan, or the leases are not known"]),
		"fix": {"op": "wait", "text": "submit it again when the other lease is settled"},
	}
}

free(target) if {
	leased := input.facts.leased
	is_array(leased)
	not plan.key(target) in leased
}

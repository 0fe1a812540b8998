# METADATA
# title: One lease per target
# description: What another plan's live lease may change is left alone until that lease is over.
package remediation.guards.leased_targets

import data.remediation.plan

deny contains reason if {
	some key in plan.keys - free
	some touch in plan.touched
	touch.key == key
	reason := {
		"rule": "target-leased",
		"step": touch.step,
		"message": concat("", [touch.target.kind, " ", touch.target.name, " is under the lease of another plan, or the leases are not known"]),
		"fix": {"op": "wait", "text": "submit it again when the other lease is settled"},
	}
}

free := {key |
	is_array(input.facts.leased)
	some key in plan.keys - {leased | some leased in input.facts.leased}
}

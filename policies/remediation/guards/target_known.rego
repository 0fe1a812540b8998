# METADATA
# title: Targets that are what the plan says
# description: >-
#   Every target was found by the sidecar itself, with the uid that the plan names; what is to be created is not there yet.
#   The plan is for the cluster that the facts are of.
package remediation.guards.target_known

import data.remediation.plan

deny contains reason if {
	not same_cluster
	reason := {
		"rule": "cluster-unknown",
		"message": "the plan is for another cluster than the facts are of, or the cluster's time is not known",
		"fix": {"op": "human", "text": "submit the plan to the sidecar of its own cluster"},
	}
}

deny contains reason if {
	some touch in plan.touched - as_planned
	reason := {
		"rule": "target-unknown",
		"step": touch.step,
		"message": concat("", [touch.target.kind, " ", touch.target.name, " is not what the plan says: missing, another one of that name, or not to be seen"]),
		"fix": {"op": "human", "text": "look at the cluster again and make a new plan from what is there now"},
	}
}

same_cluster if {
	is_string(input.facts.cluster.name)
	input.plan.cluster == input.facts.cluster.name
	is_number(input.facts.now_epoch)
}

as_planned := there | yet_to_be

there := {touch |
	some touch in plan.touched
	found := input.facts.targets[touch.key]
	found.uid == touch.target.uid
	found.exists == true
} - made

made := {touch |
	"create_object" in plan.actions
	some touch in plan.mains
	touch.act == "create_object"
}

yet_to_be := {touch |
	some touch in made
	touch.target.uid == "new"
	input.facts.targets[touch.key].exists == false
}

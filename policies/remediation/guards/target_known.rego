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
	some step in input.plan.steps
	some target in plan.targets(step)
	not as_planned(step.action.kind, target)
	reason := {
		"rule": "target-unknown",
		"step": step.id,
		"message": concat("", [target.kind, " ", target.name, " is not what the plan says: missing, another one of that name, or not to be seen"]),
		"fix": {"op": "human", "text": "look at the cluster again and make a new plan from what is there now"},
	}
}

same_cluster if {
	is_string(input.facts.cluster.name)
	input.plan.cluster == input.facts.cluster.name
	is_number(input.facts.now_epoch)
}

as_planned(kind, target) if {
	kind != "create_object"
	found := plan.facts(target)
	found.exists == true
	found.uid == target.uid
	is_string(target.uid)
	target.uid != ""
}

as_planned(kind, target) if {
	kind == "create_object"
	target.uid == "new"
	found := plan.facts(target)
	found.exists == false
}

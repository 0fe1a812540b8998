# METADATA
# title: Objects that a repository owns
# description: What Argo CD or Flux keeps as the repository says is changed in the repository; a live patch would be put back.
package remediation.guards.gitops_ownership

import data.remediation.plan

deny contains reason if {
	some step in input.plan.steps
	some target in plan.targets(step)
	not live(step.action, target)
	reason := {
		"rule": "gitops-ownership",
		"step": step.id,
		"message": concat("", [target.kind, " ", target.name, " belongs to ", owner(target), ", or its owner is not known"]),
		"fix": {"op": "commit", "text": concat("", ["make this change in the repository that ", owner(target), " applies"])},
	}
}

live(action, _) if action.kind in data.platform.gitops.live_kinds

# What is not there yet belongs to nobody.
live(action, _) if action.kind == "create_object"

live(_, target) if {
	found := plan.facts(target)
	found.gitops == null
}

live(_, target) if {
	owners := data.platform.gitops.owners
	found := plan.facts(target)
	is_string(found.gitops.tool)
	not found.gitops.tool in owners
}

owner(target) := name if {
	found := plan.facts(target)
	name := concat(" ", [found.gitops.tool, found.gitops.app])
} else := "its owner"

# METADATA
# title: Objects that a repository owns
# description: What Argo CD or Flux keeps as the repository says is changed in the repository; a live patch would be put back.
package remediation.guards.gitops_ownership

import data.remediation.plan

deny contains reason if {
	some act in plan.actions
	not leaves_alone(act)
	some key in plan.keys - nobodys
	some touch in plan.touched
	touch.act == act
	touch.key == key
	reason := {
		"rule": "gitops-ownership",
		"step": touch.step,
		"message": concat("", [touch.target.kind, " ", touch.target.name, " belongs to ", owner(key), ", or its owner is not known"]),
		"fix": {"op": "commit", "text": concat("", ["make this change in the repository that ", owner(key), " applies"])},
	}
}

# The kinds of action that leave the desired state alone; and what is not there yet belongs to nobody.
leaves_alone(act) if act in data.platform.gitops.live_kinds

leaves_alone("create_object")

nobodys contains key if {
	some key in plan.keys
	input.facts.targets[key].gitops == null
}

nobodys contains key if {
	owners := data.platform.gitops.owners
	some key in plan.keys
	tool := input.facts.targets[key].gitops.tool
	is_string(tool)
	not tool in owners
}

owner(key) := name if {
	found := input.facts.targets[key]
	name := concat(" ", [found.gitops.tool, found.gitops.app])
} else := "its owner"

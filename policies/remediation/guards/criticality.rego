# METADATA
# title: What is important
# description: >-
#   People are asked about what its label calls important, whatever the autonomy; a label that says nothing that is known
#   is a no.
package remediation.guards.criticality

import data.remediation.importance
import data.remediation.plan

deny contains reason if {
	some step in input.plan.steps
	some target in plan.targets(step)
	not importance.of(target)
	reason := {
		"rule": "criticality-unknown",
		"step": step.id,
		"message": concat("", ["it cannot be told how important ", target.kind, " ", target.name, " is"]),
		"fix": {"op": "human", "text": concat("", ["set label ", data.platform.criticality.label, " to a level that the platform's data knows"])},
	}
}

review contains reason if {
	some step in input.plan.steps
	some target in plan.targets(step)
	importance.of(target).asks == true
	reason := {
		"rule": "criticality",
		"step": step.id,
		"message": concat("", [target.kind, " ", target.name, " is important by its label: people are asked first"]),
	}
}

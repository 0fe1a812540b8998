# METADATA
# title: What is important
# description: >-
#   People are asked about what its label calls important, whatever the autonomy; a label that says nothing that is known
#   is a no.
package remediation.guards.criticality

import data.remediation.importance
import data.remediation.plan

deny contains untold(touch) if {
	some key in (plan.keys - object.keys(importance.of_object)) | importance.at_odds
	some touch in plan.touched
	touch.key == key
}

deny contains untold(touch) if {
	some namespace in plan.places - object.keys(importance.of_namespace)
	some touch in plan.touched
	touch.target.namespace == namespace
}

review contains reason if {
	importance.asked
	some touch in plan.touched
	true in {importance.of_object[touch.key].asks, importance.of_namespace[touch.target.namespace].asks}
	reason := {
		"rule": "criticality",
		"step": touch.step,
		"message": concat("", [touch.target.kind, " ", touch.target.name, " is important by its label: people are asked first"]),
	}
}

untold(touch) := {
	"rule": "criticality-unknown",
	"step": touch.step,
	"message": concat("", ["it cannot be told how important ", touch.target.kind, " ", touch.target.name, " is"]),
	"fix": {"op": "human", "text": concat("", ["set label ", data.platform.criticality.label, " to a level that the platform's data knows"])},
}

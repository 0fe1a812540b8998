# METADATA
# title: How important an object is
# description: >-
#   By the label data.platform.criticality.label on its namespace and on itself, the more important of both. Undefined for
#   a value that data does not know, or labels that are not known: that denies.
package remediation.importance

import data.remediation.environment
import data.remediation.plan

# {"asks", "count"} of a target.
of(target) := {
	"asks": true in {level.asks | some level in levels},
	"count": plan.largest({level.count | some level in levels}),
} if {
	levels := [of_namespace[target.namespace], of_object(target)]
}

of_namespace[""] := unsaid

of_namespace[namespace] := level(environment.label(namespace, data.platform.criticality.label)) if {
	some namespace in environment.places
	namespace != ""
}

of_object(target) := level(object.get(labels, data.platform.criticality.label, "")) if {
	labels := plan.facts(target).labels
	is_object(labels)
}

# What is to be made has no label of its own yet.
of_object(target) := unsaid if plan.facts(target).exists == false

level("") := unsaid

level(said) := data.platform.criticality.levels[said]

unsaid := {"asks": false, "count": 1}

# How many people the most important object of the plan wants.
count_of_plan := plan.largest({of(target).count |
	some step in input.plan.steps
	some target in plan.targets(step)
})

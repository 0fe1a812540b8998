# METADATA
# title: How important an object is
# description: >-
#   By the label data.platform.criticality.label on its namespace and on itself, the more important of both. What carries a
#   value that data does not know, or labels that are not known, has no level here: that denies.
package remediation.importance

import data.remediation.environment
import data.remediation.plan

# {"asks", "count"} by key of the object, and by namespace. What is to be made has no label of its own yet.
of_object := object.union(labelled, to_be_made)

# What is said not to be there, and to be important all the same, is not known.
at_odds := {key |
	some key in plan.keys
	input.facts.targets[key].exists == false
	labelled[key] != unsaid
}

labelled := {key: level(said) |
	label := data.platform.criticality.label
	some key in plan.keys
	labels := input.facts.targets[key].labels
	is_object(labels)
	said := object.get(labels, label, "")
}

to_be_made := {key: unsaid |
	some key in plan.keys - object.keys(labelled)
	input.facts.targets[key].exists == false
}

of_namespace := {namespace: level_there(namespace) | some namespace in plan.places}

level_there("") := unsaid

level_there(namespace) := level(environment.label(namespace, data.platform.criticality.label)) if namespace != ""

level("") := unsaid

level(said) := data.platform.criticality.levels[said]

unsaid := {"asks": false, "count": 1}

levels := {level | some level in of_object} | {level | some level in of_namespace}

asked := true in {level.asks | some level in levels}

# How many people the most important object of the plan wants.
count_of_plan := plan.largest({level.count | some level in levels}) if {
	count(of_object) > 0
	count(of_namespace) > 0
}

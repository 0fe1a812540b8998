# METADATA
# title: Steps that are harmful together
# description: >-
#   Two acts that are each permitted and not together, by the table data.platform.combinations: within the plan, or with
#   what was performed within the last hour by any other.
package remediation.guards.combinations

import data.remediation.acts

deny contains reason if {
	some row in data.platform.combinations
	some one in sides(row.first, row.within)
	some other in sides(row.second, row.within)
	one != other
	apart(row, one, other)
	some step in ({one.step, other.step} - {""})
	reason := {
		"rule": "combination",
		"step": step,
		"message": concat("", [row.name, ": ", row.why, " (", one.target, " and ", other.target, ")"]),
		"fix": {"op": "human", "text": "make two plans an hour apart, and see that the first helped; or a person does both"},
	}
}

deny contains reason if {
	not known
	reason := {"rule": "combination", "message": "it is not known which acts may not come together, or what was done lately"}
}

known if {
	is_array(data.platform.combinations)
	is_array(input.facts.history.recent)
}

sides(traits, within) := {act | some act in acts.planned; act.trait in traits} if within == "plan"

sides(traits, within) := {act | some act in (acts.planned | acts.performed); act.trait in traits} if within == "hour"

# The same trait twice is a combination only of two objects.
apart(row, one, other) if {
	different(one, other)
	row.where == "anywhere"
}

apart(row, one, other) if {
	different(one, other)
	row.where == "namespace"
	one.namespace == other.namespace
}

different(one, other) if one.trait != other.trait

different(one, other) if {
	one.trait == other.trait
	one.target != other.target
}

# METADATA
# title: Steps that are harmful together
# description: >-
#   Two acts that are each permitted and not together, by the table data.platform.combinations: within the plan, or with
#   what was performed within the last hour by any other.
package remediation.guards.combinations

import data.remediation.acts

deny contains reason if {
	some row in data.platform.combinations
	count(traits(row.within) & {trait | some trait in row.first}) > 0
	count(traits(row.within) & {trait | some trait in row.second}) > 0
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

# Looked at first: most plans have nothing of either side.
traits("plan") := acts.traits_planned

traits("hour") := acts.traits_planned | acts.traits_performed

sides(named, "plan") := {act | some act in acts.planned; act.trait in named}

sides(named, "hour") := {act | some act in (acts.planned | acts.performed); act.trait in named}

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

# METADATA
# title: Values that refer to secrets, or that are run
# description: >-
#   A new value that refers to a Secret, is a command, or is of an environment variable that says what programs load is put
#   before people, whatever the autonomy of the place.
package remediation.guards.sensitive_values

import data.remediation.plan

# The whole plan is looked at first: what holds for all of its words holds for those of each step.
review contains reason if {
	not plain(plan.words)
	some kind in {"change_fields", "create_object"}
	some step in plan.doing[kind]
	not plain(plan.words_of(step.action))
	reason := {
		"rule": "sensitive-value",
		"step": step.id,
		"message": "the new value refers to a Secret or is a command: people are asked first",
	}
}

review contains reason if {
	some step in {found.step | some found in plan.changes - harmless_variables}
	reason := {
		"rule": "sensitive-value",
		"step": step,
		"message": "an environment variable by which programs are told what to load or whom to ask: people are asked first",
	}
}

plain(words) if {
	is_array(data.platform.sensitive_keys)
	count(sensitive & words) == 0
}

sensitive := {word | some word in data.platform.sensitive_keys}

# By the name of the variable whose value is set, and by that in the new value.
harmless_variables := (elsewhere | harmless_names) - naming

elsewhere := {found |
	is_array(data.platform.sensitive_variables)
	some path in plan.paths
	not contains(path, "/env/")
	some found in plan.changes
	found.change.path == path
}

harmless_names := {found |
	is_array(data.platform.sensitive_variables)
	some found in plan.changes - elsewhere
	named := input.facts.targets[found.key].live.fields[found.change.path].named
	is_string(named)
	not named in variables
}

naming := {found |
	not free_of_names(plan.texts)
	some found in plan.changes
	not free_of_names(plan.texts_within(found.change.after))
}

free_of_names(texts) if count(texts & variables) == 0

variables := {name | some name in data.platform.sensitive_variables}

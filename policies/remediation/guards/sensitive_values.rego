# METADATA
# title: Values that refer to secrets, or that are run
# description: >-
#   A new value that refers to a Secret, is a command, or is of an environment variable that says what programs load is put
#   before people, whatever the autonomy of the place.
package remediation.guards.sensitive_values

import data.remediation.plan

review contains reason if {
	some step in input.plan.steps
	step.action.kind in {"change_fields", "create_object"}
	not plain(step.action)
	reason := {
		"rule": "sensitive-value",
		"step": step.id,
		"message": "the new value refers to a Secret or is a command: people are asked first",
	}
}

review contains reason if {
	some step in input.plan.steps
	step.action.kind == "change_fields"
	not harmless_variables(step.action)
	reason := {
		"rule": "sensitive-value",
		"step": step.id,
		"message": "an environment variable by which programs are told what to load or whom to ask: people are asked first",
	}
}

# By the name in the new value, and by that of the variable whose value is set.
harmless_variables(action) if {
	sensitive := data.platform.sensitive_variables
	is_array(sensitive)
	said := {value | some change in action.changes; walk(change.after, [_, value]); is_string(value)}
	count(variables & said) == 0
	every change in action.changes {
		harmless_name(action.target, change.path, sensitive)
	}
}

harmless_name(_, path, _) if not contains(path, "/env/")

harmless_name(target, path, sensitive) if {
	contains(path, "/env/")
	found := plan.facts(target)
	is_string(found.live.fields[path].named)
	not found.live.fields[path].named in sensitive
}

plain(action) if {
	action.kind == "change_fields"
	every change in action.changes {
		unnamed(plan.segments(change.path))
		unnamed(plan.keys_within(change.after))
	}
}

plain(action) if {
	action.kind == "create_object"
	unnamed(plan.keys_within(action.manifest))
}

unnamed(keys) if {
	is_array(data.platform.sensitive_keys)
	count(words & keys) == 0
}

words := {key | some key in data.platform.sensitive_keys}

variables := {name | some name in data.platform.sensitive_variables}

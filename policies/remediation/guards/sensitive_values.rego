# METADATA
# title: Values that refer to secrets, or that are run
# description: A new value that refers to a Secret, or is a command, is put before people, whatever the autonomy of the place.
package remediation.guards.sensitive_values

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

plain(action) if {
	action.kind == "change_fields"
	keys := {key | some change in action.changes; walk(change.after, [below, _]); some key in below}
	segments := {segment | some change in action.changes; some segment in split(change.path, "/")}
	unnamed(keys | segments)
}

plain(action) if {
	action.kind == "create_object"
	keys := {key | walk(action.manifest, [below, _]); some key in below}
	unnamed(keys)
}

unnamed(keys) if {
	sensitive := data.platform.sensitive_keys
	is_array(sensitive)
	count([key | some key in sensitive; key in keys]) == 0
}

# METADATA
# title: Change named fields
# description: Only the fields that data.platform.changeable lists for the kind, and only to values without forbidden keys or patch directives.
package remediation.permits.fields

import data.remediation.environment

permit contains step.id if {
	some step in input.plan.steps
	step.action.kind == "change_fields"
	is_array(step.action.changes)
	count(step.action.changes) > 0
	count(step.action.changes) <= 50
	every change in step.action.changes {
		changeable(step.action.target, change)
		harmless(change.path, change.after, entry_of(step.action.target))
	}
	environment.of(step.action.target) in data.platform.permits.change_fields
}

changeable(target, change) if {
	some pattern in entry_of(target).paths
	covers(split(pattern, "/"), split(change.path, "/"))
}

covers(pattern, path) if {
	count(path) >= count(pattern)
	every place, segment in pattern {
		segment in {"*", path[place]}
	}
}

# What data says about the kind; two entries of one kind are a fault of the data, and no permit.
entry_of(target) := entry if {
	some entry in data.platform.changeable
	entry.api_version == target.apiVersion
	entry.kind == target.kind
}

# `entry`: what data says about the kind. A key that begins with $ is a directive of a patch, and never a field.
harmless(path, value, entry) if {
	keys := {key | some key in split(path, "/")} | {key | walk(value, [below, _]); some key in below}
	is_array(data.platform.forbidden_keys)
	is_array(entry.forbidden)
	forbidden := {key | some key in data.platform.forbidden_keys} | {key | some key in entry.forbidden}
	count(forbidden & keys) == 0
	count([key | some key in keys; is_string(key); startswith(key, "$")]) == 0
}

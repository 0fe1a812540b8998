# METADATA
# title: Change named fields
# description: Only the fields that data.platform.changeable lists for the kind, and only to values without forbidden keys.
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
		harmless(change.path, change.after)
	}
	environment.of(step.action.target) in data.platform.permits.change_fields
}

changeable(target, change) if {
	some entry in data.platform.changeable
	entry.api_version == target.apiVersion
	entry.kind == target.kind
	some pattern in entry.paths
	covers(split(pattern, "/"), split(change.path, "/"))
}

covers(pattern, path) if {
	count(path) >= count(pattern)
	every place, segment in pattern {
		segment in {"*", path[place]}
	}
}

harmless(path, value) if {
	keys := array.concat(split(path, "/"), [key | walk(value, [below, _]); some key in below])
	forbidden := data.platform.forbidden_keys
	is_array(forbidden)
	count([key | some key in forbidden; key in keys]) == 0
}

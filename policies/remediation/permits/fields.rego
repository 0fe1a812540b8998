# METADATA
# title: Change named fields
# description: Only the fields that data.platform.changeable lists for the kind, and only to values without forbidden keys or patch directives.
package remediation.permits.fields

import data.remediation.environment
import data.remediation.plan

permit contains step.id if {
	some step in input.plan.steps
	step.action.kind == "change_fields"
	is_array(step.action.changes)
	count(step.action.changes) > 0
	count(step.action.changes) <= 50
	every change in step.action.changes {
		changeable(step.action.target, change)
		harmless(change.path, change.after, entry_of(step.action.target.apiVersion, step.action.target.kind))
	}
	environment.of(step.action.target) in data.platform.permits.change_fields
}

changeable(target, change) if listed(target.apiVersion, target.kind, change.path)

# Asked by names alone: what is said once of a path holds for every step that changes it.
listed(api_version, kind, path) if {
	segments := split(path, "/")
	some pattern in entry_of(api_version, kind).paths
	covers(split(pattern, "/"), segments)
}

# The last segment first: it tells most patterns apart.
covers(pattern, path) if {
	last := count(pattern) - 1
	pattern[last] in {"*", path[last]}
	every place, segment in pattern {
		segment in {"*", path[place]}
	}
}

# What data says about the kind; two entries of one kind are a fault of the data, and no permit.
entry_of(api_version, kind) := entry if {
	some entry in data.platform.changeable
	entry.api_version == api_version
	entry.kind == kind
}

# `entry`: what data says about the kind. A key that begins with $ is a directive of a patch, and never a field.
harmless(path, value, entry) if {
	is_array(data.platform.forbidden_keys)
	is_array(entry.forbidden)
	inoffensive(plan.segments(path), entry.forbidden)
	inoffensive(plan.keys_within(value), entry.forbidden)
}

inoffensive(keys, more) if {
	count(forbidden_everywhere & keys) == 0
	count([key | some key in more; key in keys]) == 0
	count([key | some key in keys; is_string(key); startswith(key, "$")]) == 0
}

forbidden_everywhere := {key | some key in data.platform.forbidden_keys}

# METADATA
# title: Change named fields
# description: Only the fields that data.platform.changeable lists for the kind, and only to values without forbidden keys or patch directives.
package remediation.permits.fields

import data.remediation.environment
import data.remediation.plan

permit contains id if {
	some id in well_said - {found.step | some found in plan.changes - fit}
}

# What is a list of changes, where the environment permits them.
well_said := {step.id |
	some step in plan.doing.change_fields
	is_array(step.action.changes)
	found := count(step.action.changes)
	found > 0
	found <= 50
	step.action.target.namespace in open
}

open := {namespace |
	some namespace in plan.places
	environment.by_namespace[namespace] in data.platform.permits.change_fields
}

fit := {found |
	some found in plan.changes
	found.change.path in changeable[found.target.apiVersion][found.target.kind]
} - (unsaid | harmful)

# Of all changes together first: what holds for all of their words holds for those of each.
unsaid := {found |
	count(plan.after) != count(plan.changes)
	some found in plan.changes
	is_object(found.change)
	not "after" in object.keys(found.change)
}

harmful := {found |
	not harmless(plan.words, forbidden_somewhere)
	some found in plan.changes
	not harmless(plan.keys_within(found.change.after), entry_of(found.target.apiVersion, found.target.kind).forbidden)
}

forbidden_somewhere := [key |
	some api_version in api_versions
	some kind in plan.kinds
	some key in entry_of(api_version, kind).forbidden
]

# Which of the plan's paths may be changed, by version and kind of the object.
changeable := {api_version: kinds |
	some api_version in api_versions
	kinds := {kind: covered |
		some kind in plan.kinds
		entry := entry_of(api_version, kind)
		covered := {path | some path in plan.paths; listed(path, entry)}
	}
}

api_versions := {found.target.apiVersion | some found in plan.changes}

listed(path, entry) if {
	segments := split(path, "/")
	some pattern in entry.paths
	covers(split(pattern, "/"), segments)
	harmless(plan.segments(path), entry.forbidden)
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
	entry.kind == kind
	entry.api_version == api_version
}

# `more`: what data forbids for the kind besides. A key that begins with $ is a directive of a patch, and never a field.
harmless(keys, more) if {
	is_array(data.platform.forbidden_keys)
	is_array(more)
	count(forbidden_everywhere & keys) == 0
	count([key | some key in more; key in keys]) == 0
	count([key | some key in keys; is_string(key); startswith(key, "$")]) == 0
}

forbidden_everywhere := {key | some key in data.platform.forbidden_keys}

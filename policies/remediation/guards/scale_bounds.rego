# METADATA
# title: Scale bounds
# description: How many replicas an environment may be given, whichever way; the fix is the bound itself.
package remediation.guards.scale_bounds

import data.remediation.environment
import data.remediation.plan

deny contains reason if {
	some request in requests
	not within_bounds(request.target, request.value)
	reason := object.union(
		{"rule": "scale-bounds", "step": request.step, "message": message(request.target)},
		fix(request.target, request),
	)
}

requests contains request if {
	plan.doing.scale_workload
	some place, step in input.plan.steps
	step.action.kind == "scale_workload"
	request := {
		"step": step.id,
		"target": step.action.target,
		"path": sprintf("/steps/%d/action/replicas", [place]),
		"value": object.get(step.action, "replicas", null),
	}
}

requests contains request if {
	some path in plan.paths & {"/spec/replicas", "/spec/minReplicas", "/spec/maxReplicas"}
	some place, step in input.plan.steps
	step.action.kind == "change_fields"
	some number, change in step.action.changes
	change.path == path
	request := {
		"step": step.id,
		"target": step.action.target,
		"path": sprintf("/steps/%d/action/changes/%d/after", [place, number]),
		"value": object.get(change, "after", null),
	}
}

requests contains request if {
	plan.doing.create_object
	some place, step in input.plan.steps
	step.action.kind == "create_object"
	step.action.target.kind == "HorizontalPodAutoscaler"
	some field, unsaid in {"minReplicas": 1, "maxReplicas": null} # as the API takes it
	request := {
		"step": step.id,
		"target": step.action.target,
		"path": sprintf("/steps/%d/action/manifest/spec/%s", [place, field]),
		"value": object.get(step.action.manifest, ["spec", field], unsaid),
	}
}

bounds(target) := data.platform.scale[environment.of(target)]

within_bounds(target, value) if {
	bound := bounds(target)
	plan.whole(value, bound.min, bound.max)
}

message(target) := text if {
	bound := bounds(target)
	text := sprintf("%s takes between %d and %d replicas", [environment.of(target), bound.min, bound.max])
} else := "the bounds of scale are not known here"

# The nearest number that passes, where there is one.
fix(target, request) := {"fix": found} if {
	bound := bounds(target)
	is_number(request.value)
	request.value > bound.max
	found := {"op": "replace", "text": sprintf("at most %d", [bound.max]), "path": request.path, "value": bound.max}
} else := {"fix": found} if {
	bound := bounds(target)
	is_number(request.value)
	request.value < bound.min
	found := {"op": "replace", "text": sprintf("at least %d", [bound.min]), "path": request.path, "value": bound.min}
} else := {}

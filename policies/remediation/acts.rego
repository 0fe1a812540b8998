# METADATA
# title: What the steps amount to
# description: >-
#   The traits of every act, of this plan and of the last hour: what it takes away, loosens or changes, whatever kind of
#   action it is done with. data.platform.combinations says which of them may not come together.
package remediation.acts

import data.remediation.plan

nothing := {trait | some trait in []}

# {"trait", "step" ("" for what was performed before), "target", "namespace"}
planned contains act if {
	some place, step in input.plan.steps
	some trait in traits(place, step)
	some namespace in {target.namespace | some target in plan.targets(step)}
	act := {"trait": trait, "step": step.id, "target": plan.key(step.action.target), "namespace": namespace}
}

performed contains act if {
	some done in input.facts.history.recent
	some trait in past_traits(done)
	act := {"trait": trait, "step": "", "target": done.target, "namespace": done.namespace}
}

# How many replicas a step leaves its workload, by whichever action it says so.
wanted_replicas(action) := action.replicas if {
	action.kind == "scale_workload"
	is_number(action.replicas)
}

wanted_replicas(action) := change.after if {
	action.kind == "change_fields"
	some change in action.changes
	change.path == "/spec/replicas"
	is_number(change.after)
}

# By the step's place in the plan; worked out once.
wanted[place] := wanted_replicas(step.action) if {
	some place, step in input.plan.steps
	step.action.kind in {"scale_workload", "change_fields"}
}

traits(place, step) := union({
	by_kind(step.action.kind),
	by_replicas(place, step.action.target),
	by_target(step.action.kind, step.action.target.kind),
	by_fields(step.action),
})

past_traits(done) := union({
	by_kind(done.kind),
	past_replicas(done),
	by_target(done.kind, done.target_kind),
	by_paths(done.target_kind, done.fields),
})

by_kind(kind) := {"takes-capacity"} if {
	kind in {"delete_pod", "evict_pod", "drain_node", "cordon_node"}
} else := {"weakens-check"} if {
	kind == "silence_alert"
} else := nothing

by_replicas(place, target) := {"takes-capacity", "scales-to-zero"} if {
	wanted[place] == 0
} else := {"takes-capacity"} if {
	least := wanted[place]
	found := plan.facts(target)
	is_number(found.replicas)
	least < found.replicas
} else := nothing

past_replicas(done) := {"takes-capacity", "scales-to-zero"} if {
	done.replicas == 0
} else := {"takes-capacity"} if {
	done.lowered == true
} else := nothing

by_target(kind, target_kind) := {"loosens-protection"} if {
	kind == "change_fields"
	target_kind == "PodDisruptionBudget"
} else := {"changes-autoscaler"} if {
	kind in {"change_fields", "create_object"}
	target_kind == "HorizontalPodAutoscaler"
} else := {"changes-data"} if {
	kind == "change_fields"
	target_kind == "ConfigMap"
} else := {"reroutes"} if {
	kind == "change_fields"
	target_kind in {"Service", "Ingress"}
} else := {"raises-limits"} if {
	kind == "change_fields"
	target_kind == "ResourceQuota"
} else := nothing

by_fields(action) := by_paths(action.target.kind, [change.path | some change in action.changes]) if {
	action.kind == "change_fields"
	is_array(action.changes)
} else := nothing

by_paths(_, paths) := {trait | some path in paths; some trait in of_path(path)} if {
	is_array(paths)
} else := nothing

of_path(path) := {"weakens-check"} if {
	regex.match(`^/spec/template/spec/containers/[^/]+/(readiness|liveness|startup)Probe(/|$)`, path)
} else := {"changes-data"} if {
	regex.match(`^/spec/template/spec/containers/[^/]+/(image|env|envFrom|args)(/|$)`, path)
} else := nothing

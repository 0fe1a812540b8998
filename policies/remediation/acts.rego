# METADATA
# title: What the steps amount to
# description: >-
#   The traits of every act, of this plan and of the last hour: what it takes away, loosens or changes, whatever kind of
#   action it is done with. data.platform.combinations says which of them may not come together.
package remediation.acts

import data.remediation.plan

nothing := {trait | some trait in []}

# {"trait", "step" ("" for what was performed before), "target", "namespace"}. What is asked by name is asked once: of each
# kind of action, of each kind of object, of each path.
planned contains act(trait, touch) if {
	some kind in plan.actions
	some trait in by_kind(kind)
	some touch in plan.touched
	touch.act == kind
}

planned contains act(trait, touch) if {
	some place, _ in wanted
	step := input.plan.steps[place]
	some trait in by_replicas(place, step.action.target)
	some touch in plan.mains
	touch.step == step.id
}

planned contains act(trait, touch) if {
	some kind in plan.actions
	some of in plan.kinds
	some trait in by_target(kind, of)
	some touch in plan.mains
	touch.act == kind
	touch.target.kind == of
}

planned contains {"trait": trait, "step": found.step, "target": found.key, "namespace": found.target.namespace} if {
	some path in plan.paths
	some trait in of_path(path)
	some found in plan.changes
	found.change.path == path
}

performed contains {"trait": trait, "step": "", "target": done.target, "namespace": done.namespace} if {
	some done in input.facts.history.recent
	some trait in past_traits(done)
}

# Which traits there are at all, told by names alone.
traits_planned contains trait if {
	some kind in plan.actions
	some trait in by_kind(kind)
}

traits_planned contains trait if {
	some place, _ in wanted
	some trait in by_replicas(place, input.plan.steps[place].action.target)
}

traits_planned contains trait if {
	some kind in plan.actions
	some of in plan.kinds
	some trait in by_target(kind, of)
}

traits_planned contains trait if {
	some path in plan.paths
	some trait in of_path(path)
}

traits_performed := {done.trait | some done in performed}

# The act is the step's: a drain is one of its node, wherever the pods are.
act(trait, touch) := {"trait": trait, "step": touch.step, "target": about(touch), "namespace": touch.target.namespace}

about(touch) := touch.key if {
	touch.act != "drain_node"
} else := key if {
	some main in plan.mains
	main.step == touch.step
	key := main.key
}

# How many replicas a step leaves its workload, by whichever action it says so; by the step's place in the plan.
wanted := object.union(scaled, set_by_field)

scaled := {place: step.action.replicas |
	plan.doing.scale_workload
	some place, step in input.plan.steps
	step.action.kind == "scale_workload"
	is_number(step.action.replicas)
}

set_by_field := {place: change.after |
	"/spec/replicas" in plan.paths
	some place, step in input.plan.steps
	step.action.kind == "change_fields"
	some change in step.action.changes
	change.path == "/spec/replicas"
	is_number(change.after)
}

# The same by key of the workload: every number that some step asks for.
wanted_by_key := {key: asked |
	some key in {wish.key | some wish in wishes}
	asked := [wish.replicas | some wish in wishes; wish.key == key]
}

wishes contains {"key": key, "place": place, "replicas": replicas} if {
	some place, replicas in wanted
	key := plan.key(input.plan.steps[place].action.target)
}

past_traits(done) := union({
	by_kind(done.kind),
	past_replicas(done),
	by_target(done.kind, done.target_kind),
	by_paths(done.fields),
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

by_paths(paths) := {trait | some path in paths; some trait in of_path(path)} if {
	is_array(paths)
} else := nothing

of_path(path) := {"weakens-check"} if {
	regex.match(`^/spec/template/spec/containers/[^/]+/(readiness|liveness|startup)Probe(/|$)`, path)
} else := {"changes-data"} if {
	regex.match(`^/spec/template/spec/containers/[^/]+/(image|env|envFrom|args)(/|$)`, path)
} else := nothing

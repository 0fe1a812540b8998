# METADATA
# title: Share of a workload
# description: >-
#   How much of a workload is taken away at once, by deleting, evicting or scaling: a share of its replicas by environment,
#   never more than its disruption budgets leave, and not several workloads behind one Service.
package remediation.guards.capacity

import data.remediation.acts
import data.remediation.environment
import data.remediation.plan

deny contains reason if {
	some key, gone in loses
	not within_share(key, gone)
	some step in steps_of(key)
	reason := object.union(
		{"rule": "replica-share", "step": step, "message": share_message(key, gone)},
		{"fix": share_fix(key)},
	)
}

deny contains reason if {
	some place, pod in taken
	not workload_of[place]
	some step in steps_with(place)
	reason := {
		"rule": "replica-share",
		"step": step,
		"message": concat("", ["it is not known what would be left without Pod ", pod.name]),
		"fix": {"op": "drop", "text": "leave the step out: nothing is known to bring this pod back"},
	}
}

deny contains reason if {
	some place, pod in taken
	some budget in plan.facts(pod).disruption_budgets
	not budget_holds(pod.namespace, budget)
	some step in steps_with(place)
	reason := {
		"rule": "disruption-budget",
		"step": step,
		"message": concat("", ["disruption budget ", budget.name, " of ", pod.namespace, " does not leave so many pods, or it is not known how many"]),
		"fix": {"op": "wait", "text": "submit it again with fewer of these pods, or when the budget allows the disruption"},
	}
}

deny contains reason if {
	some service, workloads in behind
	count(workloads) > data.platform.blast_radius.workloads_behind_service
	reason := {
		"rule": "one-service",
		"message": concat("", ["pods of several workloads behind Service ", service, " are taken away: ", concat(", ", sort(workloads))]),
		"fix": {"op": "human", "text": "make one plan for each workload, and see that the Service still answers after the first"},
	}
}

deny contains reason if {
	some key in keys
	not rests(key)
	some step in steps_of(key)
	reason := {
		"rule": "pods-lately",
		"step": step,
		"message": concat("", ["as many pods of ", key, " were taken away within the hour as the budget allows, or that is not known"]),
		"fix": {"op": "wait", "text": "submit it again when the last hour holds fewer"},
	}
}

# Every pod that the plan deletes or evicts, once.
taken[touch.key] := touch.target if {
	some act in plan.actions & {"delete_pod", "evict_pod", "drain_node"}
	some touch in plan.touched
	touch.act == act
	touch.target.kind == "Pod"
}

steps_with(place) := {touch.step | some touch in plan.touched; touch.key == place}

# The workload of each of them, where it is known.
workload_of[place] := found.workload if {
	some place, pod in taken
	found := plan.facts(pod)
	found.workload != ""
}

# How many pods each workload loses.
loses[key] := gone if {
	some key in keys
	gone := count(pods_of[key]) + fewer(key)
}

keys := {workload | some workload in workload_of} | object.keys(lowered)

pods_of[key] := places if {
	some key in keys
	places := {place | some place; workload_of[place] == key}
}

# What a scale takes from a workload: from the number that it has now to the least that a step asks for.
lowered[key] := found.replicas - least if {
	some key, asked in acts.wanted_by_key
	plan.largest(asked) >= 0
	found := input.facts.workloads[key]
	least := plan.smallest(asked)
	least < found.replicas
}

fewer(key) := lowered[key] if {
	lowered[key]
} else := 0

steps_of(key) := {touch.step |
	some touch in plan.touched
	found := input.facts.targets[touch.key]
	key in {touch.key, found.workload}
}

most(key) := plan.largest([1, floor((found.replicas * share) / 100)]) if {
	found := input.facts.workloads[key]
	plan.whole(found.replicas, 0, 100000)
	share := data.platform.blast_radius.share[environment.of_plan]
}

within_share(key, gone) if gone <= most(key)

share_message(key, gone) := text if {
	known := input.facts.workloads[key]
	text := concat("", [
		key, " would lose ", format_int(gone, 10), " of ", format_int(known.replicas, 10),
		" replicas at once, of which ", format_int(most(key), 10), " may go",
	])
} else := concat("", ["it is not known how many replicas ", key, " may lose"])

# A scale can be put right; of pods that are deleted one by one, a person says which.
share_fix(key) := {"op": "replace", "text": "scale down in smaller parts", "path": path, "value": input.facts.workloads[key].replicas - most(key)} if {
	count(pods_of[key]) == 0
	some place, step in input.plan.steps
	plan.key(step.action.target) == key
	step.action.kind == "scale_workload"
	count([other | some other in input.plan.steps; plan.key(other.action.target) == key]) == 1
	path := sprintf("/steps/%d/action/replicas", [place])
} else := {"op": "human", "text": "take fewer pods of it in one plan, and see that the others carry on"}

budget_holds(namespace, budget) if {
	plan.whole(budget.disruptions_allowed, 0, 100000)
	covered := {place |
		some place
		pod := taken[place]
		pod.namespace == namespace
		found := plan.facts(pod)
		not found.ready == 0 # a pod that is not ready counts for no budget already
		some one in found.disruption_budgets
		one.name == budget.name
	}
	count(covered) <= budget.disruptions_allowed
}

# "<namespace>/<Service>" -> the workloads behind it that lose pods.
behind[service] := {workload |
	some pair in answering
	pair.service == service
	workload := pair.workload
} if {
	some service in {pair.service | some pair in answering}
}

answering contains {"service": concat("/", [pod.namespace, name]), "workload": plan.facts(pod).workload} if {
	some pod in taken
	some name in plan.facts(pod).services
}

answering contains {"service": concat("/", [target.namespace, name]), "workload": plan.key(target)} if {
	some key, _ in lowered
	some target in {touch.target | some touch in plan.mains; touch.key == key}
	some name in plan.facts(target).services
}

rests(key) if {
	parts := split(key, "/")
	prefix := concat("", [parts[2], "-"])
	gone := [name | some name in object.get(input.facts.history.pods, parts[1], []); startswith(name, prefix)]
	count(gone) + count(pods_of[key]) <= data.platform.budgets.pods_hour
}

# METADATA
# title: Repetition
# description: >-
#   How many steps were performed lately on the target, in its namespace, by its team, for the incident and in all, counted by
#   the sidecar's own record, this plan's steps included; and by how much one object was changed in the day. A fix that has to
#   be repeated is none; many small plans are one large plan.
package remediation.guards.repetition

import data.remediation.acts
import data.remediation.environment
import data.remediation.plan

deny contains reason if {
	some key in plan.keys - resting
	some touch in plan.touched
	touch.key == key
	reason := {
		"rule": "repetition",
		"step": touch.step,
		"message": concat("", [touch.target.kind, " ", touch.target.name, " was changed as often lately as the budget allows, or that is not known"]),
		"fix": {"op": "wait", "text": "submit it again when the last hour, and the last day, hold fewer changes of it"},
	}
}

deny contains reason if {
	some namespace in plan.namespaces
	not namespace_rests(namespace)
	reason := {
		"rule": "repetition",
		"message": concat("", ["namespace ", namespace, " was changed as often lately as the budget allows, or that is not known"]),
		"fix": {"op": "wait", "text": "submit it again when the last hour, and the last day, hold fewer changes in it"},
	}
}

deny contains reason if {
	not incident_rests
	reason := {
		"rule": "repetition",
		"message": "as many changes as the budget allows were made for this incident, or that is not known",
		"fix": {"op": "human", "text": "a person takes the incident over"},
	}
}

deny contains reason if {
	some team in teams
	not team_rests(team)
	reason := {
		"rule": "repetition",
		"message": concat("", ["the namespaces of team ", team, " were changed as often lately as the budget allows, or that is not known"]),
		"fix": {"op": "wait", "text": "submit it again when the last hour, and the last day, hold fewer changes by this team"},
	}
}

deny contains reason if {
	not cluster_rests
	reason := {
		"rule": "repetition",
		"message": "the cluster was changed as often lately as the budget allows, or that is not known",
		"fix": {"op": "wait", "text": "submit it again when the last hour, and the last day, hold fewer changes"},
	}
}

deny contains reason if {
	some key in plan.main_keys - moved_little
	some place, step in input.plan.steps
	plan.key(step.action.target) == key
	reason := {
		"rule": "moved-lately",
		"step": step.id,
		"message": concat("", [step.action.target.kind, " ", step.action.target.name, " was changed by as much within the day as the budget allows, in however many plans, or that is not known"]),
		"fix": moved_fix(place, step.action),
	}
}

resting := {key |
	budget := data.platform.budgets.target
	some key in plan.keys
	within(input.facts.history.targets[key], object.get(touched_again, key, 1), budget)
}

# How often the plan touches what it touches more than once; a drain may name a pod twice.
touched_again := {key: times |
	count(plan.touched) > count(plan.keys)
	some key in plan.keys
	times := count([touch | some touch in plan.touched; touch.key == key])
}

namespace_rests(namespace) if {
	within(input.facts.history.namespaces[namespace], asked_of_namespace[namespace], data.platform.budgets.namespace)
}

# How many steps of this plan touch each of them.
asked_of_namespace := {namespace: count([touch |
	some touch in plan.touched
	touch.target.namespace == namespace
]) |
	some namespace in plan.namespaces
}

# The namespaces of a team, of which the plan touches one, and what was done and is asked for in all of them.
team_of[namespace] := team if {
	some namespace, _ in input.facts.namespaces
	team := environment.label(namespace, data.platform.budgets.team_label)
	team != ""
}

teams := {team_of[namespace] | some namespace in plan.namespaces}

team_rests(team) if {
	made := [input.facts.history.namespaces[namespace] | some namespace; team_of[namespace] == team]
	asked := sum([asked_of_namespace[namespace] | some namespace in plan.namespaces; team_of[namespace] == team])
	every one in made {
		plan.whole(one.hour, 0, 1000000)
		plan.whole(one.day, 0, 1000000)
	}
	within({"hour": sum([one.hour | some one in made]), "day": sum([one.day | some one in made])}, asked, data.platform.budgets.team)
}

cluster_rests if within(input.facts.history.cluster, count(input.plan.steps), data.platform.budgets.cluster)

# Replicas up and down, and fields, of one object within the day: even if all that the plan sets were of it, or by what is.
moved_little := surely_little | {touch.key |
	some key in plan.main_keys - surely_little
	some touch in plan.mains
	touch.key == key
	set := count([found | some found in plan.changes; found.key == key])
	little(input.facts.history.targets[touch.key], object.get(moves, touch.key, 0), set, touch.target.namespace) == true
}

surely_little := {touch.key |
	set := count(plan.changes)
	some touch in plan.mains
	little(input.facts.history.targets[touch.key], object.get(moves, touch.key, 0), set, touch.target.namespace) == true
}

# True or false, and asked by values alone: what is the same for many objects is worked out once.
little(made, moved, set, namespace) := true if {
	plan.whole(made.replicas, 0, 1000000)
	plan.whole(made.fields, 0, 1000000)
	made.replicas + moved <= data.platform.budgets.moved.replicas[environment.by_namespace[namespace]]
	made.fields + set <= data.platform.budgets.moved.fields
} else := false

# How many replicas each workload moves that the plan scales; a number that is not known is beyond every budget.
moves := {key: moved |
	some key in object.keys(acts.wanted_by_key)
	moved := distance(acts.wanted_by_key[key], object.get(input.facts.targets, key, {}))
}

distance(asked, found) := sum([abs(number - found.replicas) | some number in asked]) if {
	is_number(found.replicas)
} else := 1000000000

# As far as the day's budget still goes, where one scale is all.
moved_fix(place, action) := {"op": "replace", "text": sprintf("at most %d replicas today", [value]), "path": path, "value": value} if {
	action.kind == "scale_workload"
	now := plan.facts(action.target).replicas
	left := data.platform.budgets.moved.replicas[environment.of(action.target)] - input.facts.history.targets[plan.key(action.target)].replicas
	left > 0
	action.replicas > now
	value := now + left
	path := sprintf("/steps/%d/action/replicas", [place])
} else := {"op": "wait", "text": "submit it again when the last day holds less; or a person does it"}

incident_rests if within(input.facts.history.incident, count(input.plan.steps), data.platform.budgets.incident)

within(made, asked, budget) if {
	plan.whole(made.hour, 0, 1000000)
	plan.whole(made.day, 0, 1000000)
	made.hour + asked <= budget.hour
	made.day + asked <= budget.day
}

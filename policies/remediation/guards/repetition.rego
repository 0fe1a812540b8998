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
	some step in input.plan.steps
	some target in plan.targets(step)
	not target_rests(target)
	reason := {
		"rule": "repetition",
		"step": step.id,
		"message": concat("", [target.kind, " ", target.name, " was changed as often lately as the budget allows, or that is not known"]),
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
	some place, step in input.plan.steps
	not moves_little(place, step)
	reason := {
		"rule": "moved-lately",
		"step": step.id,
		"message": concat("", [step.action.target.kind, " ", step.action.target.name, " was changed by as much within the day as the budget allows, in however many plans, or that is not known"]),
		"fix": moved_fix(place, step.action),
	}
}

target_rests(target) if {
	key := plan.key(target)
	within(input.facts.history.targets[key], count(object.get(touches, key, {})), data.platform.budgets.target)
}

namespace_rests(namespace) if {
	within(input.facts.history.namespaces[namespace], asked_of_namespace[namespace], data.platform.budgets.namespace)
}

# How many steps of this plan touch each of them.
asked_of_namespace := {namespace: count([target |
	some step in input.plan.steps
	some target in plan.targets(step)
	target.namespace == namespace
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

# Replicas up and down, and fields, of one object within the day.
moves_little(place, step) if {
	key := plan.key(step.action.target)
	made := input.facts.history.targets[key]
	plan.whole(made.replicas, 0, 1000000)
	plan.whole(made.fields, 0, 1000000)
	countable(place, key)
	made.replicas + moves(key) <= data.platform.budgets.moved.replicas[environment.of(step.action.target)]
	made.fields + sets(key) <= data.platform.budgets.moved.fields
}

countable(place, _) if not sets_count(place)

countable(place, key) if {
	sets_count(place)
	is_number(now_of[key])
}

sets_count(place) if acts.wanted[place] >= 0

moves(key) := sum([distance | some distance in object.get(distances, key, {})])

distances[key][place] := abs(number - now_of[key]) if {
	some place, number in acts.wanted
	key := plan.key(input.plan.steps[place].action.target)
}

# What has no number of replicas has none to move; a workload whose number is not known is in no such budget's bounds.
now_of[key] := found.replicas if {
	some key in plan.keys
	found := input.facts.targets[key]
	is_number(found.replicas)
}

sets(key) := sum([number | some number in object.get(changed, key, {})])

changed[key][place] := count(step.action.changes) if {
	some place, step in input.plan.steps
	step.action.kind == "change_fields"
	key := plan.key(step.action.target)
}

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

# Place of the step, and place among what it touches: a step may name a pod twice.
touches[key][sprintf("%d %d", [place, number])] if {
	some place, step in input.plan.steps
	some number, target in plan.targets(step)
	key := plan.key(target)
}

incident_rests if within(input.facts.history.incident, count(input.plan.steps), data.platform.budgets.incident)

within(made, asked, budget) if {
	plan.whole(made.hour, 0, 1000000)
	plan.whole(made.day, 0, 1000000)
	made.hour + asked <= budget.hour
	made.day + asked <= budget.day
}

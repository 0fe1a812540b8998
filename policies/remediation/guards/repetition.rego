# METADATA
# title: Repetition
# description: >-
#   How many steps were performed lately on the target, in its namespace and for the incident, counted by the sidecar's own
#   record, this plan's steps included. A fix that has to be repeated is none; many small plans are one large plan.
package remediation.guards.repetition

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

target_rests(target) if {
	key := plan.key(target)
	within(input.facts.history.targets[key], asked_of_target[key], data.platform.budgets.target)
}

namespace_rests(namespace) if {
	within(input.facts.history.namespaces[namespace], asked_of_namespace[namespace], data.platform.budgets.namespace)
}

# How many steps of this plan touch each of them.
asked_of_target := {key: count([touched | some touched in touches; touched == key]) | some key in plan.keys}

asked_of_namespace := {namespace: count([step | some step in input.plan.steps; step.action.target.namespace == namespace]) |
	some namespace in plan.namespaces
}

touches := [key |
	some step in input.plan.steps
	some target in plan.targets(step)
	key := plan.key(target)
]

incident_rests if within(input.facts.history.incident, count(input.plan.steps), data.platform.budgets.incident)

within(made, asked, budget) if {
	plan.whole(made.hour, 0, 1000000)
	plan.whole(made.day, 0, 1000000)
	made.hour + asked <= budget.hour
	made.day + asked <= budget.day
}

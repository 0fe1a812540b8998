# METADATA
# title: Cost
# description: >-
#   How much CPU, memory and storage a plan asks for in addition: what the pods request, times the replicas that are added.
#   Reckoned by the sidecar from the live objects; a sum that cannot be told is a no.
package remediation.guards.cost

import data.remediation.environment
import data.remediation.plan

deny contains reason if {
	some id in plan.ids - told
	some kind in {"scale_workload", "change_fields", "create_object"}
	some step in plan.doing[kind]
	step.id == id
	reason := {
		"rule": "cost",
		"step": step.id,
		"message": concat("", ["it cannot be told what ", step.action.target.kind, " ", step.action.target.name, " would ask for in addition"]),
		"fix": {"op": "human", "text": "a person does this, or the requests of its containers are made readable"},
	}
}

# Nor is anything added up of which one part is no sum at all, whatever step it is said of.
deny contains reason if {
	count([added | some added in input.facts.adds; not is_object(added)]) > 0
	reason := {"rule": "cost", "message": "of one of the steps it is not known what it asks for in addition"}
}

deny contains reason if {
	some measure in {"cpu_millis", "memory_mib", "storage_mib"}
	not affordable(measure)
	some step in costliest(measure)
	reason := {"rule": "cost", "step": step, "message": cost_message(measure), "fix": cheaper(measure)}
}

told := {id |
	some id in plan.ids
	input.facts.adds[id] in whole_sums
}

# What is the same for many steps is looked at once.
whole_sums := {added |
	some added in sums
	every measure in ["cpu_millis", "memory_mib", "storage_mib"] {
		plan.whole(object.get(added, measure, null), -1000000000, 1000000000)
	}
}

sums := {added | some added in input.facts.adds; is_object(added)}

# What a step gives back is nobody's to spend in the same plan.
asked(measure) := sum(additions(measure))

# By object.get, since the embedded engine would take an index of a comprehension for any index.
additions(measure) := [more |
	some added in adding
	more := object.get(added, measure, 0)
	more > 0
]

# Most plans add nothing.
adding := [added |
	count(sums - {{"cpu_millis": 0, "memory_mib": 0, "storage_mib": 0}}) > 0
	some added in input.facts.adds
	is_object(added)
]

bound(measure) := data.platform.cost[environment.of_plan][measure]

affordable(measure) if {
	wanted := asked(measure)
	most := bound(measure)
	wanted <= most
}

cost_message(measure) := concat("", [
	"the plan asks for ", format_int(asked(measure), 10), " more of ", measure, ", and ", environment.of_plan,
	" gives ", format_int(bound(measure), 10), " at once",
]) if {
	bound(measure)
} else := concat("", ["it is not known how much more of ", measure, " one plan may ask for"])

# The steps that ask for most of it; the plan as a whole where nobody can say.
costliest(measure) := ids if {
	count(additions(measure)) > 0 # the largest of none is undefined in one engine, and null in the other
	dearest := plan.largest(additions(measure))
	ids := {id |
		some id
		added := input.facts.adds[id]
		object.get(added, measure, 0) == dearest
	}
} else := {""}

# Where one scale is all that asks, as many replicas as the bound gives.
cheaper(measure) := {"op": "replace", "text": sprintf("at most %d replicas", [value]), "path": path, "value": value} if {
	count(additions(measure)) == 1
	some place, step in input.plan.steps
	step.action.kind == "scale_workload"
	more := object.get(input.facts.adds[step.id], measure, 0)
	more > 0
	now := plan.facts(step.action.target).replicas
	step.action.replicas > now
	each := more / (step.action.replicas - now)
	each > 0
	value := now + floor(bound(measure) / each)
	value > now
	path := sprintf("/steps/%d/action/replicas", [place])
} else := {"op": "human", "text": "ask for less in one plan, or let the platform team raise the bound"}

# METADATA
# title: Fields that somebody else keeps
# description: >-
#   A field that a person or another program changed lately is not overwritten without people being asked; what an operator
#   keeps, or an autoscaler sets, is changed where they take it from.
package remediation.guards.ownership

import data.remediation.acts
import data.remediation.plan

deny contains reason if {
	some place, asked in acts.wanted
	step := input.plan.steps[place]
	not autoscalers_agree(step.action.target, asked)
	reason := {
		"rule": "autoscaler-owns",
		"step": step.id,
		"message": concat("", ["an autoscaler sets the replicas of ", step.action.target.kind, " ", step.action.target.name, ", within other bounds, or that is not known"]),
		"fix": autoscaler_fix(place, step.action, asked),
	}
}

review contains reason if {
	some touch in plan.mains
	some path, field in input.facts.targets[touch.key].live.fields
	some hand in field.managers
	lately(object.get(hand, "at_epoch", null)) == true
	somebody(hand.manager) == true
	reason := {
		"rule": "field-owner",
		"step": touch.step,
		"message": concat("", [
			hand.manager, " changed ", path, " of ", touch.target.name, " within the last ",
			format_int(data.platform.ownership.recent_minutes, 10), " minutes: people are asked before that is overwritten",
		]),
	}
}

review contains reason if {
	some act in plan.actions
	not act in data.platform.gitops.live_kinds
	some touch in plan.mains
	touch.act == act
	owners := input.facts.targets[touch.key].owners
	owners != []
	top := owners[count(owners) - 1]
	not top.api_version in {"v1", "apps/v1", "batch/v1"}
	reason := {
		"rule": "operator-owned",
		"step": touch.step,
		"message": concat("", [touch.target.kind, " ", touch.target.name, " is kept by ", top.kind, " ", top.name, ", which may put it back: people are asked first"]),
	}
}

autoscalers_agree(target, asked) if {
	found := plan.facts(target).autoscalers
	is_array(found)
	every autoscaler in found {
		plan.whole(asked, autoscaler.min, autoscaler.max)
	}
}

autoscaler_fix(place, action, asked) := {
	"op": "replace",
	"text": sprintf("%d replicas, or change the autoscaler's bounds", [value]),
	"path": sprintf("/steps/%d/action/replicas", [place]),
	"value": value,
} if {
	action.kind == "scale_workload"
	some autoscaler in plan.facts(action.target).autoscalers
	is_number(autoscaler.min)
	is_number(autoscaler.max)
	value := plan.smallest([plan.largest([asked, autoscaler.min]), autoscaler.max])
	count(plan.facts(action.target).autoscalers) == 1
} else := {"op": "human", "text": "change the bounds of the autoscaler instead"}

# Whose hand counts: not the cluster's own, and not the sidecar's. False rather than undefined, which would be worked out
# for each field again.
somebody(manager) := count([name | some name in ignored; is_of(manager, name)]) == 0 if {
	ignored := data.platform.ownership.ignored
	is_array(ignored)
}

is_of(manager, name) if manager == name

is_of(manager, name) if {
	endswith(name, "*")
	startswith(manager, trim_suffix(name, "*"))
}

# Where the cluster does not say when, it may have been just now.
lately(at) := at >= since if {
	is_number(at)
} else := true

since := input.facts.now_epoch - (data.platform.ownership.recent_minutes * 60)

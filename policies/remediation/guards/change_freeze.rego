# METADATA
# title: Freezes and change windows
# description: >-
#   Nothing is changed during a freeze of the environment, under a freeze label on the namespace, or outside the
#   environment's windows, and nothing is begun that could not be ended before. Times come from the cluster's own clock; without it nothing is changed.
package remediation.guards.change_freeze

import data.remediation.environment
import data.remediation.lasting
import data.remediation.plan

deny contains reason if {
	some freeze in data.platform.freezes
	not over(freeze)
	some namespace in environment.places
	environment.by_namespace[namespace] in freeze.environments
	some touch in plan.touched
	touch.target.namespace == namespace
	reason := {
		"rule": "change-freeze",
		"step": touch.step,
		"message": concat("", ["changes in ", environment.by_namespace[namespace], " are frozen: ", freeze.name]),
		"fix": {"op": "wait", "text": concat("", ["submit it again after ", freeze.until]), "until": freeze.until},
	}
}

deny contains reason if {
	not calendar_known
	reason := {"rule": "change-freeze", "message": "it is not known whether changes are frozen"}
}

deny contains reason if {
	some namespace in plan.namespaces
	not unfrozen(namespace)
	some touch in plan.touched
	touch.target.namespace == namespace
	reason := {
		"rule": "change-freeze",
		"step": touch.step,
		"message": concat("", ["namespace ", namespace, " is frozen by its label, or its labels are not known"]),
		"fix": {"op": "wait", "text": "submit it again when the namespace's freeze label is gone"},
	}
}

deny contains reason if {
	some namespace in environment.places
	not in_window(namespace)
	some touch in plan.touched
	touch.target.namespace == namespace
	reason := {
		"rule": "change-window",
		"step": touch.step,
		"message": concat("", [touch.target.kind, " ", touch.target.name, " is changed only inside its environment's windows, and this is not one"]),
		"fix": {"op": "wait", "text": "submit it again inside a change window of the environment"},
	}
}

# Between a first step and one that it needs after it nobody wants a freeze to begin.
deny contains reason if {
	lasting.seconds < data.platform.lease.least_seconds
	end := lasting.soonest
	reason := {
		"rule": end.rule,
		"message": concat("", ["too little time is left: ", end.why]),
		"fix": end.fix,
	}
}

calendar_known if {
	is_array(data.platform.freezes)
	is_number(input.facts.now_epoch)
}

# Not yet begun, or ended: both bounds and the clock must be numbers to say so.
over(freeze) if {
	is_number(input.facts.now_epoch)
	is_number(freeze.from_epoch)
	input.facts.now_epoch < freeze.from_epoch
}

over(freeze) if {
	is_number(input.facts.now_epoch)
	is_number(freeze.until_epoch)
	input.facts.now_epoch >= freeze.until_epoch
}

unfrozen(namespace) if object.get(labels(namespace), data.platform.freeze_label, "false") == "false"

labels(namespace) := found if {
	found := input.facts.namespaces[namespace].labels
	is_object(found)
}

in_window(namespace) if data.platform.windows[environment.by_namespace[namespace]] == "always"

in_window(namespace) if {
	is_number(input.facts.now_epoch)
	windows := data.platform.windows[environment.by_namespace[namespace]]
	is_array(windows)
	some window in windows
	local := input.clock[window.zone]
	local.weekday in window.days
	local.minute >= window.from_minute
	local.minute < window.until_minute
}

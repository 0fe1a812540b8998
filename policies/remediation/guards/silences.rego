# METADATA
# title: Silences
# description: >-
#   A silence is short, covers few alerts that fire now, all of them about its target, and goes without people only where it
#   names a severity that nobody is woken for. What fires is looked up by the sidecar in Alertmanager itself.
package remediation.guards.silences

import data.remediation.environment
import data.remediation.plan

deny contains reason if {
	some step in plan.doing.silence_alert
	not step.id in looked_up
	reason := {
		"rule": "silence-unavailable",
		"step": step.id,
		"message": "what it would silence cannot be looked up: the sidecar knows no Alertmanager",
		"fix": {"op": "human", "text": "the platform team sets LESTRADE_SIDECAR_ALERTMANAGER_URL for the sidecar; until then a person silences it"},
	}
}

deny contains reason if {
	"silence_alert" in plan.actions
	some place, step in input.plan.steps
	step.action.kind == "silence_alert"
	not step.id in short
	most := data.platform.silences.minutes[environment.of(step.action.target)]
	reason := {
		"rule": "silence-length",
		"step": step.id,
		"message": concat("", ["a silence there lasts ", format_int(most, 10), " minutes at most"]),
		"fix": {
			"op": "replace",
			"text": concat("", ["silence it for ", format_int(most, 10), " minutes"]),
			"path": concat("", ["/steps/", format_int(place, 10), "/action/minutes"]),
			"value": most,
		},
	}
}

# Where no bound is known, nothing is short.
deny contains reason if {
	some step in plan.doing.silence_alert
	not step.id in bounded
	reason := {
		"rule": "silence-length",
		"step": step.id,
		"message": "how long a silence there may last is not known",
		"fix": {"op": "human", "text": "the platform team says it in silences.minutes"},
	}
}

deny contains reason if {
	some step in plan.doing.silence_alert
	step.id in looked_up
	not step.id in few
	reason := {
		"rule": "silence-breadth",
		"step": step.id,
		"message": "it would silence no alert that fires now, or more than one silence may",
		"fix": {"op": "human", "text": "name more of the alert's labels; what does not fire is not silenced ahead"},
	}
}

deny contains reason if {
	some step in plan.doing.silence_alert
	step.id in looked_up
	not step.id in to_the_point
	reason := {
		"rule": "silence-strangers",
		"step": step.id,
		"message": concat("", ["it would silence alerts about something else than ", step.action.target.kind, " ", step.action.target.name]),
		"fix": {"op": "human", "text": "name the label of the alert that says what it is about: its workload, pod or node"},
	}
}

review contains reason if {
	some step in plan.doing.silence_alert
	step.id in looked_up
	not step.id in harmless
	reason := {
		"rule": "silence-severity",
		"step": step.id,
		"message": "it would silence what people are woken for, or does not say how bad it may be: people are asked first",
	}
}

# The good ones, by the id of their step.
looked_up := {step.id |
	some step in plan.doing.silence_alert
	found := input.facts.silences[step.id]
	found.configured == true
	is_number(found.count)
	is_array(found.alerts)
}

bounded := {step.id |
	some step in plan.doing.silence_alert
	is_number(data.platform.silences.minutes[environment.of(step.action.target)])
}

short := {step.id |
	some step in plan.doing.silence_alert
	plan.whole(step.action.minutes, 1, data.platform.silences.minutes[environment.of(step.action.target)])
}

few := {step.id |
	some step in plan.doing.silence_alert
	plan.whole(input.facts.silences[step.id].count, 1, data.platform.silences.alerts[environment.of(step.action.target)])
}

to_the_point := {step.id |
	some step in plan.doing.silence_alert
	found := input.facts.silences[step.id]
	count(found.alerts) == found.count
	every alert in found.alerts {
		alert.about_target == true
	}
}

harmless := {step.id |
	some step in plan.doing.silence_alert
	label := data.platform.silences.severity_label
	some matcher in step.action.matchers
	matcher.name == label
	matcher.value in data.platform.silences.by_itself
	every alert in input.facts.silences[step.id].alerts {
		object.get(alert.labels, label, "") == matcher.value
	}
}

# METADATA
# title: Evidence
# description: >-
#   A plan cites evidence, its cause is about an object that is what the plan says, and every step touches that object or
#   one that depends on it or that it depends on, as the sidecar itself sees it in the cluster.
package remediation.guards.evidence

import data.remediation.plan

deny contains reason if {
	not cited
	reason := {
		"rule": "evidence-missing",
		"message": "the plan cites less evidence than is asked for",
		"fix": {"op": "human", "text": concat(" ", ["cite at least", format_int(data.platform.evidence.citations, 10), "pieces of evidence"])},
	}
}

deny contains reason if {
	not cause_known
	reason := {
		"rule": "cause-unknown",
		"message": "the subject of the cause is not what the plan says: missing, another one of that name, or not to be seen",
		"fix": {"op": "human", "text": "look at the cluster again and name the cause's subject as it is there now"},
	}
}

deny contains reason if {
	some key in plan.main_keys - related
	some step in input.plan.steps
	plan.key(step.action.target) == key
	reason := {
		"rule": "evidence",
		"step": step.id,
		"message": concat("", [
			step.action.target.kind, " ", step.action.target.name, " neither is the cause's subject, ",
			input.plan.cause.subject.kind, " ", input.plan.cause.subject.name, ", nor depends on it, nor the other way round",
		]),
		"fix": {"op": "drop", "text": "leave the step out, or name the cause that it is for in a plan of its own"},
	}
}

cited if {
	is_array(input.plan.cited)
	count({citation.id | some citation in input.plan.cited}) >= data.platform.evidence.citations
}

cause_known if data.platform.evidence.related == false

cause_known if {
	input.facts.cause.exists == true
	input.facts.cause.uid == input.plan.cause.subject.uid
	input.facts.cause.key == plan.key(input.plan.cause.subject)
}

# What is not there cannot have been seen; what is not looked at is known by what refers to it.
cause_known if {
	input.facts.cause.exists == false
	input.plan.cause.subject.uid == "new"
}

cause_known if {
	input.facts.cause.exists == "unread"
	input.facts.cause.key == plan.key(input.plan.cause.subject)
}

related := plan.main_keys if {
	data.platform.evidence.related == false
} else := {key |
	some key in plan.main_keys
	input.facts.related[key] in {"same", "owner", "refers-to", "selects", "scales", "limits", "runs-on", "routes-to"}
}

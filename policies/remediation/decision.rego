# METADATA
# title: The one rule that is asked
# description: >-
#   Deny unless every step is permitted by a named permit and no guard objects. Permits and guards are found by discovery:
#   a new one is a new file in its folder. A guard offers `deny` (objections) and may offer `review` (grounds for asking
#   people), both sets of {rule, step, message, fix}. A permit offers `permit`, a set of step ids.
package remediation

default decision := {
	"verdict": "deny",
	"reasons": [{"rule": "policy-malformed", "step": "", "message": "the rules reached no verdict on this document", "fix": null}],
	"approvals": null,
	"lease_seconds": 0,
}

# What cannot be read is not put before the guards at all.
decision := denied([complete({"rule": "plan-malformed", "message": "this is not a plan that the rules can read"})]) if {
	not data.remediation.plan.well_formed
}

decision := denied([complete({"rule": "facts-malformed", "message": "these are not facts that the rules can read"})]) if {
	data.remediation.plan.well_formed
	not data.remediation.plan.facts_well_formed
}

decision := denied([reason | some reason in objections]) if {
	readable
	count(objections) > 0
}

decision := {
	"verdict": "review",
	"reasons": [reason | some reason in grounds],
	"approvals": approvals,
	"lease_seconds": data.platform.lease.seconds,
} if {
	passes
	count(grounds) > 0
}

decision := {"verdict": "allow", "reasons": [], "approvals": null, "lease_seconds": data.platform.lease.seconds} if {
	passes
	count(grounds) == 0
}

denied(reasons) := {"verdict": "deny", "reasons": reasons, "approvals": null, "lease_seconds": 0}

readable if {
	data.remediation.plan.well_formed
	data.remediation.plan.facts_well_formed
}

# The good case, in full: the document can be read, each step is permitted, and nobody objects.
passes if {
	readable
	every step in input.plan.steps {
		permitted(step)
	}
	count(objections) == 0
}

permitted(step) if step.id in permitted_steps

permitted_steps contains id if {
	some name
	some id in data.remediation.permits[name].permit
}

objections contains complete(reason) if {
	some name
	some reason in data.remediation.guards[name].deny
}

objections contains complete(reason) if {
	some step in input.plan.steps
	not permitted(step)
	reason := {
		"rule": "not-permitted",
		"step": step.id,
		"message": concat("", ["no permit covers ", step.action.kind, " of ", step.action.target.kind, " as it is asked for here"]),
		"fix": {"op": "human", "text": "a person does this, or the platform team widens permits, changeable or creatable"},
	}
}

objections contains complete(reason) if {
	count(grounds) > 0
	not approvals
	reason := {"rule": "approvers-unknown", "message": "people should be asked, but it is not said who"}
}

grounds contains complete(reason) if {
	some name
	some reason in data.remediation.guards[name].review
}

complete(reason) := object.union({"step": "", "fix": null}, reason)

# Who is asked, by the strictest environment of the plan and by whether all of it can be undone.
approvals := {"count": wanted.count, "roles": wanted.roles, "expires_seconds": data.platform.approvals.expires_seconds} if {
	environment := data.remediation.environment.of_plan
	wanted := data.platform.approvals.by_environment[environment][reversibility]
	count(wanted.roles) > 0
	wanted.count >= 1
}

reversibility := "reversible" if {
	every step in input.plan.steps {
		step.action.kind in data.platform.reversible
	}
} else := "irreversible"

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
	"lease_seconds": data.remediation.lasting.seconds,
	"lease_ends": data.remediation.lasting.why,
	"environment": data.remediation.environment.of_plan,
} if {
	passes
	count(grounds) > 0
}

decision := {
	"verdict": "allow",
	"reasons": [],
	"approvals": null,
	"lease_seconds": data.remediation.lasting.seconds,
	"lease_ends": data.remediation.lasting.why,
} if {
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
	count(unpermitted) == 0
	count(objections) == 0
}

unpermitted := data.remediation.plan.ids - permitted_steps

permitted_steps contains id if {
	some name
	some id in data.remediation.permits[name].permit
}

objections contains complete(reason) if {
	some name
	some reason in data.remediation.guards[name].deny
}

objections contains complete(reason) if {
	some id in unpermitted
	some step in input.plan.steps
	step.id == id
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
	reason := {
		"rule": "approvers-unknown",
		"message": "people should be asked, but it is not said who, or the plan's namespaces do not name the same people",
		"fix": {"op": "human", "text": "make one plan for each namespace; the platform team says who approves there"},
	}
}

grounds contains complete(reason) if {
	some name
	some reason in data.remediation.guards[name].review
}

# A name of 253 characters still leaves room for the rest of a line of 500.
complete(reason) := object.union(
	object.union({"step": "", "fix": null}, reason),
	{"message": substring(reason.message, 0, 490)},
)

# Who is asked: by the strictest environment of the plan, by whether all of it can be undone, by how important it is, and
# by whom its namespace names.
approvals := {"count": most, "roles": roles, "expires_seconds": data.platform.approvals.expires_seconds} if {
	environment := data.remediation.environment.of_plan
	wanted := data.platform.approvals.by_environment[environment][reversibility]
	roles := approvers(wanted.roles)
	count(roles) > 0
	most := data.remediation.plan.largest([wanted.count, data.remediation.importance.count_of_plan])
	most >= 1
}

approvers(usual) := usual if said_approvers == {""}

approvers(_) := roles if {
	count(said_approvers) == 1
	some said in said_approvers
	said != ""
	roles := split(said, ".")
	every role in roles {
		role in data.platform.approvals.label_roles
	}
}

# What each namespace says; cluster-scoped objects belong to nobody in particular, and keep the usual ones.
said_approvers := {said |
	some namespace in data.remediation.environment.places
	said := approvers_of(namespace)
}

approvers_of("") := ""

approvers_of(namespace) := data.remediation.environment.label(namespace, data.platform.approvals.label) if namespace != ""

reversibility := "reversible" if {
	every act in data.remediation.plan.actions {
		act in data.platform.reversible
	}
} else := "irreversible"

# METADATA
# title: A policy of two hundred lines
# description: >-
#   What a small team might begin with: workloads and ConfigMaps of namespaces that carry a label are changed, in the open
#   by people, in dev without them. The size that the design's budget for a verdict is stated for.
package remediation

default decision := {
	"verdict": "deny",
	"reasons": [{"rule": "malformed", "step": "", "message": "this is no plan, or the facts are missing", "fix": null}],
	"approvals": null,
	"lease_seconds": 0,
}

decision := {"verdict": "deny", "reasons": [reason | some reason in objections], "approvals": null, "lease_seconds": 0} if {
	readable
	count(objections) > 0
}

decision := {"verdict": "allow", "reasons": [], "approvals": null, "lease_seconds": data.platform.lease.seconds} if {
	readable
	count(objections) == 0
	environments == {"dev"}
	count(not_undone) == 0
}

decision := {
	"verdict": "review",
	"reasons": [{"rule": "people", "step": "", "message": "people are asked here", "fix": null}],
	"approvals": {"count": 1, "roles": ["sre"], "expires_seconds": data.platform.approvals.expires_seconds},
	"lease_seconds": data.platform.lease.seconds,
} if {
	readable
	count(objections) == 0
	asks_people
}

asks_people if environments != {"dev"}

asks_people if count(not_undone) > 0

not_undone contains step.id if {
	some step in input.plan.steps
	step.action.kind == "restart_workload"
}

# The good case of a document.
readable if {
	is_string(input.plan.incident)
	is_array(input.plan.steps)
	count(input.plan.steps) > 0
	count(input.plan.steps) <= 20
	every step in input.plan.steps {
		regex.match(`^step-[1-9][0-9]?$`, step.id)
		is_string(step.action.kind)
		is_object(step.action.target)
		regex.match(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`, step.action.target.name)
		regex.match(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`, step.action.target.namespace)
	}
	input.plan.cluster == input.facts.cluster.name
	is_string(input.facts.cluster.environment)
	is_number(input.facts.now_epoch)
	is_object(input.facts.targets)
	is_object(input.facts.history.targets)
	is_array(input.facts.leased)
}

key(target) := concat("/", [target.kind, target.namespace, target.name])

namespaces := {step.action.target.namespace | some step in input.plan.steps}

environments := {environment[namespace] | some namespace in namespaces}

# What the sidecar's settings say of the cluster goes before a namespace's label.
environment[namespace] := said if {
	some namespace in namespaces
	said := input.facts.cluster.environment
	said in {"dev", "test", "prod"}
}

environment[namespace] := said if {
	some namespace in namespaces
	input.facts.cluster.environment == ""
	said := input.facts.namespaces[namespace].labels["lestrade.dev/environment"]
	said in {"dev", "test", "prod"}
}

# What may be done at all.
permitted contains step.id if {
	some step in input.plan.steps
	step.action.kind in {"restart_workload", "rollback_workload"}
	workload(step.action.target)
	revision(step.action)
}

permitted contains step.id if {
	some step in input.plan.steps
	step.action.kind == "scale_workload"
	workload(step.action.target)
	number(step.action.replicas, 1, 50)
}

permitted contains step.id if {
	some step in input.plan.steps
	step.action.kind == "change_fields"
	is_array(step.action.changes)
	count(step.action.changes) > 0
	every change in step.action.changes {
		changeable(step.action.target, change.path)
		is_string(change.after)
		count(change.after) <= 200
	}
}

workload(target) if {
	target.apiVersion == "apps/v1"
	target.kind in {"Deployment", "StatefulSet"}
}

revision(action) if action.kind == "restart_workload"

revision(action) if {
	action.kind == "rollback_workload"
	number(action.to_revision, 1, 1000000)
}

changeable(target, path) if {
	workload(target)
	regex.match(`^/spec/template/spec/containers/[0-9]+/(image|env/[0-9]+/value|resources/limits/(cpu|memory))$`, path)
}

changeable(target, path) if {
	target.apiVersion == "v1"
	target.kind == "ConfigMap"
	regex.match(`^/data/[A-Za-z0-9._-]{1,253}$`, path)
}

number(value, least, most) if {
	is_number(value)
	floor(value) == value
	value >= least
	value <= most
}

objections contains objection("not-permitted", step.id, "nobody permits this step") if {
	some step in input.plan.steps
	not step.id in permitted
}

objections contains objection("target-unknown", step.id, "the target is not what the plan says") if {
	some step in input.plan.steps
	not as_planned(step.action.target)
}

as_planned(target) if {
	found := input.facts.targets[key(target)]
	found.exists == true
	found.uid == target.uid
	is_string(target.uid)
	target.uid != ""
}

objections contains objection("fenced", step.id, "nothing is changed in this namespace") if {
	some step in input.plan.steps
	not open(step.action.target.namespace)
}

open(namespace) if {
	is_object(input.facts.namespaces[namespace].labels)
	environment[namespace]
	not namespace in data.platform.fenced.namespaces
	not startswith(namespace, "kube-")
	not startswith(namespace, "lestrade")
}

objections contains objection("gitops", step.id, "a repository owns the target: change it there") if {
	some step in input.plan.steps
	not input.facts.targets[key(step.action.target)].gitops == null
}

objections contains objection("leased", step.id, "another plan's lease is on the target") if {
	some step in input.plan.steps
	key(step.action.target) in input.facts.leased
}

objections contains objection("evidence", step.id, "the target and the cause have nothing to do with each other") if {
	some step in input.plan.steps
	not input.facts.related[key(step.action.target)] in {"same", "owner", "refers-to", "selects", "scales"}
}

objections contains objection("repetition", step.id, "the target was changed too often within the hour") if {
	some step in input.plan.steps
	not seldom(input.facts.history.targets[key(step.action.target)], 5)
}

objections contains objection("repetition", "", "the incident has had too many steps") if {
	not seldom(input.facts.history.incident, 20)
}

objections contains objection("repetition", "", "too much was changed in the namespace within the hour") if {
	some namespace in namespaces
	not seldom(input.facts.history.namespaces[namespace], 20)
}

seldom(counted, most) if {
	number(counted.hour, 0, most)
	number(counted.day, counted.hour, most * 4)
}

objections contains objection("budget", step.id, "a disruption budget allows no disruption now") if {
	some step in input.plan.steps
	some budget in input.facts.targets[key(step.action.target)].disruption_budgets
	not budget.disruptions_allowed > 0
}

objections contains objection("cause-unknown", "", "the subject of the cause is not there") if {
	not input.facts.cause.exists == true
}

objection(rule, step, message) := {"rule": rule, "step": step, "message": message, "fix": {"op": "human", "text": "a person does this"}}

# METADATA
# title: Environment and autonomy
# description: >-
#   observe: nothing is changed. review: people are asked. auto: reversible steps pass at once, the others are put before
#   people. An environment or a level that cannot be told is a no.
package remediation.guards.environment_autonomy

import data.remediation.environment
import data.remediation.plan

deny contains reason if {
	some namespace in environment.places
	not may_change(namespace)
	some touch in plan.touched
	touch.target.namespace == namespace
	reason := {
		"rule": "environment-autonomy",
		"step": touch.step,
		"message": concat("", [touch.target.kind, " ", touch.target.name, " is where the agent only observes, or where its autonomy cannot be told"]),
		"fix": {"op": "human", "text": "a person does this, or the platform team gives the namespace another autonomy level"},
	}
}

review contains reason if {
	some namespace in environment.places
	may_change(namespace)
	not by_itself(namespace)
	some touch in plan.touched
	touch.target.namespace == namespace
	reason := {
		"rule": "environment-autonomy",
		"step": touch.step,
		"message": concat("", [touch.target.kind, " ", touch.target.name, " is in ", environment.by_namespace[namespace], ", where people are asked first"]),
	}
}

review contains reason if {
	some act in plan.actions
	not act in data.platform.reversible
	some step in plan.doing[act]
	reason := {
		"rule": "irreversible",
		"step": step.id,
		"message": concat("", [act, " cannot be undone: people are asked first"]),
	}
}

may_change(namespace) if environment.autonomy_by_namespace[namespace] in {"review", "auto"}

by_itself(namespace) if environment.autonomy_by_namespace[namespace] == "auto"

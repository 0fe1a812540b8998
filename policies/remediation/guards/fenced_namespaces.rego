# METADATA
# title: Fenced namespaces
# description: Namespaces that nobody's approval opens, listed in data.platform.fenced; the lender of rights protects its own.
package remediation.guards.fenced_namespaces

import data.remediation.plan

deny contains reason if {
	some step in input.plan.steps
	some target in plan.targets(step)
	not open(target)
	reason := {
		"rule": "fenced-namespace",
		"step": step.id,
		"message": concat("", [target.kind, " ", target.name, " is in a fenced namespace, or in none that can be told"]),
		"fix": {"op": "drop", "text": "leave the step out; nothing in this namespace is changed by an agent"},
	}
}

# Cluster-scoped kinds are in no namespace; which of them may be touched is for the permits to say.
open(target) if {
	target.kind in plan.cluster_scoped
	target.namespace == ""
}

open(target) if unfenced(target.namespace)

# Asked by name: what is said of a namespace holds for everything in it.
unfenced(namespace) if {
	fenced := data.platform.fenced.namespaces # looked up first: no fence known is not "open"
	prefixes := data.platform.fenced.namespace_prefixes
	is_array(fenced)
	is_array(prefixes)
	is_string(namespace)
	namespace != ""
	not namespace in fenced
	count([prefix | some prefix in prefixes; startswith(namespace, prefix)]) == 0
}

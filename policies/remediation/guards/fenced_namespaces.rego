# METADATA
# title: Fenced namespaces
# description: Namespaces that nobody's approval opens, listed in data.platform.fenced; the lender of rights protects its own.
package remediation.guards.fenced_namespaces

import data.remediation.plan

deny contains reason if {
	some sort in plan.sorts
	not open(sort)
	some touch in plan.touched
	touch.target.namespace == sort.namespace
	touch.target.kind == sort.kind
	reason := {
		"rule": "fenced-namespace",
		"step": touch.step,
		"message": concat("", [touch.target.kind, " ", touch.target.name, " is in a fenced namespace, or in none that can be told"]),
		"fix": {"op": "drop", "text": "leave the step out; nothing in this namespace is changed by an agent"},
	}
}

# Cluster-scoped kinds are in no namespace; which of them may be touched is for the permits to say.
open(sort) if {
	sort.kind in plan.cluster_scoped
	sort.namespace == ""
}

open(sort) if unfenced(sort.namespace)

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

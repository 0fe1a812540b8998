# METADATA
# title: Where an object is, and how far the agent may go there
# description: >-
#   Environment and autonomy of a target, from data.platform and from what was looked up. Undefined where it cannot be
#   said, which denies. Both depend on the namespace alone, and are worked out once for each.
package remediation.environment

import data.remediation.plan

# The environment of a target: its namespace's label, but not milder than what is said about its cluster.
of(target) := by_namespace[target.namespace]

# How far the agent may go with a target: the label or the default, but never above the ceiling.
autonomy(target) := autonomy_by_namespace[target.namespace]

# The strictest environment of the plan's targets; undefined unless every target has one.
of_plan := data.platform.environments.order[strictest] if {
	every namespace in places {
		rank[by_namespace[namespace]] >= 0
	}
	strictest := max({rank[by_namespace[namespace]] | some namespace in places})
}

rank := {name: place | some place, name in data.platform.environments.order}

places := {target.namespace |
	some step in input.plan.steps
	some target in plan.targets(step)
}

by_namespace[""] := of_cluster

by_namespace[namespace] := of_cluster if {
	some namespace in places
	namespace != ""
	input.facts.namespaces[namespace].environment == ""
}

by_namespace[namespace] := environment if {
	some namespace in places
	namespace != ""
	label := input.facts.namespaces[namespace].environment
	rank[label] >= 0
	environment := stricter(label)
}

stricter(label) := label if unstated

stricter(label) := label if {
	not unstated
	counts(label)
}

stricter(label) := of_cluster if {
	not unstated
	not counts(label)
}

counts(label) if rank[label] >= rank[of_cluster]

counts(_) if data.platform.environments.namespace_may_relax == true

of_cluster := stated if rank[stated] >= 0

of_cluster := data.platform.environments["default"] if unstated

# What is said about the cluster: by the platform team, or else by the cluster's own label.
stated := data.platform.environments.by_cluster[input.facts.cluster.name]

stated := label if {
	not data.platform.environments.by_cluster[input.facts.cluster.name]
	label := input.facts.cluster.environment
	label != ""
}

unstated if {
	not data.platform.environments.by_cluster[input.facts.cluster.name]
	input.facts.cluster.environment == ""
}

levels := ["observe", "review", "auto"]

level_of := {"observe": 0, "review": 1, "auto": 2}

autonomy_by_namespace[namespace] := levels[lower] if {
	some namespace in places
	environment := by_namespace[namespace]
	wanted := level_of[wanted_level(namespace, environment)]
	ceiling := level_of[data.platform.autonomy.ceiling[environment]]
	lower := min([wanted, ceiling])
}

wanted_level(namespace, environment) := data.platform.autonomy["default"][environment] if namespace == ""

wanted_level(namespace, environment) := data.platform.autonomy["default"][environment] if {
	namespace != ""
	input.facts.namespaces[namespace].autonomy == ""
}

wanted_level(namespace, _) := label if {
	namespace != ""
	label := input.facts.namespaces[namespace].autonomy
	label != ""
}

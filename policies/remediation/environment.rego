# METADATA
# title: Where an object is, and how far the agent may go there
# description: >-
#   Environment and autonomy of a target, from data.platform and from what was looked up. Undefined where it cannot be
#   said, which denies. Both depend on the namespace alone, and are worked out once for each.
package remediation.environment

import data.remediation.plan

# The environment of a target: its namespace's label, but not milder than what is said about its cluster.
of(target) := by_namespace[target.namespace]

# The strictest environment of the plan's targets; undefined unless every target has one.
of_plan := data.platform.environments.order[strictest] if {
	every namespace in places {
		rank[by_namespace[namespace]] >= 0
	}
	strictest := plan.largest({rank[by_namespace[namespace]] | some namespace in places})
}

# "" for what is in no namespace.
places := plan.places

rank := {name: place | some place, name in data.platform.environments.order}

by_namespace := {namespace: environment |
	some namespace in places
	environment := environment_of(namespace)
}

environment_of("") := of_cluster

environment_of(namespace) := of_cluster if {
	namespace != ""
	label(namespace, data.platform.environments.label) == ""
}

environment_of(namespace) := environment if {
	namespace != ""
	said := label(namespace, data.platform.environments.label)
	rank[said] >= 0
	environment := stricter(said)
}

# A label of the namespace, "" where it has none; undefined where its labels are not known.
label(namespace, name) := object.get(labels, name, "") if {
	labels := input.facts.namespaces[namespace].labels
	is_object(labels)
}

stricter(said) := said if unstated

stricter(said) := said if {
	not unstated
	counts(said)
}

stricter(said) := of_cluster if {
	not unstated
	not counts(said)
}

counts(said) if rank[said] >= rank[of_cluster]

counts(_) if data.platform.environments.namespace_may_relax == true

of_cluster := stated if rank[stated] >= 0

of_cluster := data.platform.environments["default"] if unstated

# What is said about the cluster: by the platform team, by the sidecar's settings, or by the cluster's own label.
stated := data.platform.environments.by_cluster[input.facts.cluster.name]

stated := said if {
	not data.platform.environments.by_cluster[input.facts.cluster.name]
	said := said_of_cluster
	said != ""
}

unstated if {
	not data.platform.environments.by_cluster[input.facts.cluster.name]
	said_of_cluster == ""
}

said_of_cluster := input.facts.cluster.environment if input.facts.cluster.environment != ""

said_of_cluster := object.get(labels, data.platform.environments.label, "") if {
	input.facts.cluster.environment == ""
	labels := input.facts.cluster.labels
	is_object(labels)
}

levels := ["observe", "review", "auto"]

level_of := {"observe": 0, "review": 1, "auto": 2}

# How far the agent may go there: the label or the default, but never above the ceiling.
autonomy_by_namespace := {namespace: levels[bounded] |
	some namespace in places
	environment := by_namespace[namespace]
	wanted := level_of[wanted_level(namespace, environment)]
	ceiling := level_of[data.platform.autonomy.ceiling[environment]]
	bounded := plan.smallest([wanted, ceiling])
}

wanted_level(namespace, environment) := data.platform.autonomy["default"][environment] if namespace == ""

wanted_level(namespace, environment) := data.platform.autonomy["default"][environment] if {
	namespace != ""
	label(namespace, data.platform.autonomy.label) == ""
}

wanted_level(namespace, _) := said if {
	namespace != ""
	said := label(namespace, data.platform.autonomy.label)
	said != ""
}

# METADATA
# title: The plan, read strictly
# description: >-
#   What the other rules may rely on: that the document is a plan at all, which objects a step writes to, and under which
#   key their facts lie. Every rule here names the good case.
package remediation.plan

well_formed if {
	is_object(input.plan)
	is_string(input.plan.cluster)
	is_string(input.plan.incident)
	is_array(input.plan.steps)
	count(input.plan.steps) > 0
	count(input.plan.steps) <= 20
	count({step.id | some step in input.plan.steps}) == count(input.plan.steps)
	every step in input.plan.steps {
		well_formed_step(step)
	}
}

well_formed_step(step) if {
	regex.match(`^step-[1-9][0-9]?$`, step.id)
	is_object(step.action)
	is_string(step.action.kind)
	well_formed_pods(step.action)
	every target in targets(step) {
		well_formed_target(target)
	}
}

well_formed_pods(action) if action.kind != "drain_node"

well_formed_pods(action) if {
	action.kind == "drain_node"
	is_array(action.pods)
	count(action.pods) <= 500
}

well_formed_target(target) if {
	is_object(target)
	regex.match(`^([a-z0-9.-]+/)?v[0-9]+((alpha|beta)[0-9]+)?$`, target.apiVersion)
	regex.match(`^[A-Z][A-Za-z0-9]{0,62}$`, target.kind)
	regex.match(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`, target.name)
	regex.match(`^[A-Za-z0-9-]{1,64}$`, target.uid)
	well_formed_namespace(target)
}

# Namespaced kinds name one, cluster-scoped kinds do not.
well_formed_namespace(target) if {
	not target.kind in cluster_scoped
	regex.match(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`, target.namespace)
}

well_formed_namespace(target) if {
	target.kind in cluster_scoped
	target.namespace == ""
}

cluster_scoped := {"Node"}

# The facts that every plan needs. Those of single targets and namespaces are for the guards to miss.
facts_well_formed if {
	is_object(input.facts)
	is_number(input.facts.now_epoch)
	is_object(input.facts.cluster)
	is_string(input.facts.cluster.name)
	is_string(input.facts.cluster.environment)
	is_object(input.facts.cluster.labels)
	is_object(input.facts.namespaces)
	is_object(input.facts.targets)
	is_object(input.facts.history)
	is_array(input.facts.leased)
	is_object(input.clock)
}

# Every object that the step writes to, the main one first.
targets(step) := [step.action.target] if step.action.kind != "drain_node"

targets(step) := array.concat([step.action.target], step.action.pods) if {
	step.action.kind == "drain_node"
	is_array(step.action.pods)
}

# Where the facts of an object lie.
key(target) := concat("/", [target.kind, target.namespace, target.name])

facts(target) := input.facts.targets[key(target)]

# The segments of a JSON Pointer, and the keys within a value, wherever they stand.
segments(path) := {segment | some segment in split(path, "/")}

keys_within(value) := {key | walk(value, [below, _]); some key in below}

# Distinct objects, namespaces and environments of the whole plan.
keys := {key(target) |
	some step in input.plan.steps
	some target in targets(step)
}

namespaces := {target.namespace |
	some step in input.plan.steps
	some target in targets(step)
	target.namespace != ""
}

kinds := {target.kind |
	some step in input.plan.steps
	some target in targets(step)
}

# The largest and the smallest of some numbers. The embedded engine's max and min compare numbers as if they were texts.
largest(values) := number if {
	some number in values
	count([other | some other in values; other > number]) == 0
}

smallest(values) := number if {
	some number in values
	count([other | some other in values; other < number]) == 0
}

# A number without a fraction, between two bounds.
whole(value, least, most) if {
	is_number(value)
	floor(value) == value
	value >= least
	value <= most
}

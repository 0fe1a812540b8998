# METADATA
# title: The plan, read strictly
# description: >-
#   What the other rules may rely on: that the document is a plan at all, which objects a step writes to, and under which
#   key their facts lie. Every rule here names the good case. What many guards ask of a plan is worked out here once, for
#   all steps together: a guard takes what is good away from it, and objects to what is left.
package remediation.plan

well_formed if {
	is_object(input.plan)
	is_string(input.plan.cluster)
	is_string(input.plan.incident)
	is_array(input.plan.steps)
	count(input.plan.steps) > 0
	count(input.plan.steps) <= 20
	count(ids) == count(input.plan.steps)
	every step in drains {
		is_array(step.action.pods)
		count(step.action.pods) <= 500
	}
	count(mains) == count(input.plan.steps)
	count(drained) == sum([count(step.action.pods) | some step in drains])
	every touch in touched {
		well_formed_touch(touch)
	}
	every action in actions {
		is_string(action)
	}
	every sort in sorts {
		well_formed_sort(sort)
	}
}

# One look at all of it: step, version, key (kind, namespace and name) and uid. No part can hold a space, and no part of the
# key a slash, or there would be one too many.
well_formed_touch(touch) if {
	said := concat(" ", [touch.step, touch.target.apiVersion, touch.key, touch.target.uid])
	regex.match(`^step-[1-9][0-9]? ([a-z0-9.-]+/)?v[0-9]+((alpha|beta)[0-9]+)? [A-Z][A-Za-z0-9]{0,62}/([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?/[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])? [A-Za-z0-9-]{1,64}$`, said)
}

# Namespaced kinds name a namespace, cluster-scoped kinds do not.
well_formed_sort(sort) if {
	not sort.kind in cluster_scoped
	sort.namespace != ""
}

well_formed_sort(sort) if {
	sort.kind in cluster_scoped
	sort.namespace == ""
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

texts_within(value) := {text | walk(value, [_, text]); is_string(text)}

# The steps' names, the kinds of action among them, and the steps of each kind: {"scale_workload": [step, ...]}.
ids := {step.id | some step in input.plan.steps}

actions := {step.action.kind | some step in input.plan.steps}

doing := {kind: steps |
	some kind in actions
	steps := [step | some step in input.plan.steps; step.action.kind == kind]
}

drains := [step | some step in doing.drain_node]

# Every object that some step writes to: the step's id, its kind of action, the object, and the key of its facts. `mains`:
# what each step is about; `drained`: the pods that a drain evicts (one that it names twice is touched twice).
touched := mains | drained

mains := {touch |
	some step in input.plan.steps
	target := step.action.target
	key := concat("/", [target.kind, target.namespace, target.name])
	touch := {"act": step.action.kind, "key": key, "step": step.id, "target": target}
}

drained contains touch if {
	some step in drains
	some place, pod in step.action.pods
	touch := {"act": "drain_node", "key": key(pod), "place": place, "step": step.id, "target": pod}
}

# The same without repetition: keys, and of which kinds and where they are.
keys := {touch.key | some touch in touched}

main_keys := keys if {
	count(drained) == 0
} else := {touch.key | some touch in mains}

sorts := {sort |
	some touch in touched
	sort := {"kind": touch.target.kind, "namespace": touch.target.namespace}
}

kinds := {sort.kind | some sort in sorts}

# "" is the place of what is in no namespace.
places := {sort.namespace | some sort in sorts}

namespaces := places - {""}

# Every field that some step changes, with the step's id, the target and its key.
changes contains found if {
	some step in doing.change_fields
	target := step.action.target
	some place, change in step.action.changes
	found := {"change": change, "key": concat("/", [target.kind, target.namespace, target.name]), "place": place, "step": step.id, "target": target}
}

# The same without repetition.
paths := {found.change.path | some found in changes}

# Every segment of a path and every key of a new value or a new object: of all steps together, and of one.
words := union({segments(path) | some path in paths}) | keys_within(new_values)

new_values := array.concat(after, [step.action.manifest | some step in doing.create_object])

after := [found.change.after | some found in changes]

# Every text that is, or is within, what a field is changed to.
texts := texts_within(after)

words_of(action) := keys_within(action.manifest) if action.kind == "create_object"

words_of(action) := {word |
	some change in action.changes
	some word in (segments(change.path) | keys_within(change.after))
} if {
	action.kind == "change_fields"
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

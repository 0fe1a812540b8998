# METADATA
# title: Blast radius
# description: How many objects, namespaces, nodes and pods one plan may touch; one node at a time.
package remediation.guards.blast_radius

import data.remediation.environment
import data.remediation.plan

deny contains reason if {
	not few_targets
	reason := {
		"rule": "blast-radius",
		"message": "the plan touches more objects than its environment takes at once",
		"fix": {"op": "human", "text": "split it: fewer objects in one plan, and see that the first helps"},
	}
}

deny contains reason if {
	not few_namespaces
	reason := {
		"rule": "blast-radius",
		"message": "the plan touches more namespaces than one plan may",
		"fix": {"op": "human", "text": "make one plan for each namespace"},
	}
}

deny contains reason if {
	not few_nodes
	reason := {
		"rule": "one-node-at-a-time",
		"message": "the plan touches more nodes than one plan may",
		"fix": {"op": "human", "text": "make one plan for each node"},
	}
}

deny contains reason if {
	not few_pods
	reason := {
		"rule": "blast-radius",
		"message": "the plan takes away more pods than its environment gives at once",
		"fix": {"op": "human", "text": "take fewer pods in one plan"},
	}
}

deny contains reason if {
	not few_leased
	reason := {
		"rule": "blast-radius",
		"message": "too much is under live leases at once, or it is not known how much",
		"fix": {"op": "wait", "text": "submit it again when other leases are settled"},
	}
}

few_leased if {
	is_array(input.facts.leased)
	count({key | some key in input.facts.leased} | plan.keys) <= data.platform.blast_radius.leased
}

few_targets if count(plan.keys) <= data.platform.blast_radius.targets[environment.of_plan]

few_namespaces if count(plan.namespaces) <= data.platform.blast_radius.namespaces

few_nodes if count({key | "Node" in plan.kinds; some key in plan.keys; startswith(key, "Node/")}) <= data.platform.blast_radius.nodes

few_pods if count(taken) <= data.platform.blast_radius.pods[environment.of_plan]

taken := {touch.key |
	count(plan.actions & {"delete_pod", "evict_pod", "drain_node"}) > 0
	some touch in plan.touched
	touch.act in {"delete_pod", "evict_pod", "drain_node"}
	touch.target.kind == "Pod"
}

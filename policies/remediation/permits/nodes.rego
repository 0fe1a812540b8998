# METADATA
# title: Cordon, uncordon and drain one node
# description: A drain evicts exactly the pods that the plan lists, each owned by a controller.
package remediation.permits.nodes

import data.remediation.environment
import data.remediation.permits.pods
import data.remediation.plan

permit contains step.id if {
	some kind in {"cordon_node", "uncordon_node", "drain_node"}
	some step in plan.doing[kind]
	step.action.target.apiVersion == "v1"
	step.action.target.kind == "Node"
	moved(step.action)
	every target in plan.targets(step) {
		environment.of(target) in data.platform.permits[kind]
	}
}

moved(action) if action.kind in {"cordon_node", "uncordon_node"}

moved(action) if {
	action.kind == "drain_node"
	is_array(action.pods)
	every pod in action.pods {
		pod.apiVersion == "v1"
		pod.kind == "Pod"
		pods.replaced(pod)
	}
}

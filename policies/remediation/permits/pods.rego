# METADATA
# title: Delete or evict one pod
# description: Only a pod that a controller owns, so that another comes in its place.
package remediation.permits.pods

import data.remediation.environment
import data.remediation.plan

permit contains step.id if {
	some kind in {"delete_pod", "evict_pod"}
	some step in plan.doing[kind]
	step.action.target.apiVersion == "v1"
	step.action.target.kind == "Pod"
	replaced(step.action.target)
	environment.of(step.action.target) in data.platform.permits[kind]
}

replaced(target) if {
	found := plan.facts(target)
	some owner in found.owners
	owner.kind in {"ReplicaSet", "StatefulSet", "DaemonSet", "Job"}
}

# METADATA
# title: Restart, roll back and scale workloads
# description: Deployments, StatefulSets and DaemonSets of apps/v1, in the environments that data.platform.permits names.
package remediation.permits.workloads

import data.remediation.environment
import data.remediation.plan

permit contains step.id if {
	some kind in {"restart_workload", "rollback_workload", "scale_workload"}
	some step in plan.doing[kind]
	workload(step)
	environment.of(step.action.target) in data.platform.permits[kind]
}

workload(step) if {
	step.action.kind == "restart_workload"
	step.action.target.apiVersion == "apps/v1"
	step.action.target.kind in {"Deployment", "StatefulSet", "DaemonSet"}
}

workload(step) if {
	step.action.kind == "rollback_workload"
	step.action.target.apiVersion == "apps/v1"
	step.action.target.kind in {"Deployment", "StatefulSet", "DaemonSet"}
	plan.whole(step.action.to_revision, 1, 1000000000)
}

workload(step) if {
	step.action.kind == "scale_workload"
	step.action.target.apiVersion == "apps/v1"
	step.action.target.kind in {"Deployment", "StatefulSet", "ReplicaSet"}
	plan.whole(step.action.replicas, 0, 10000)
}

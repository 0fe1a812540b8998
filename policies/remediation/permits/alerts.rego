# METADATA
# title: Silence an alert
# description: >-
#   By named labels, one of which is the alert's name, and another the target's namespace or, of a node, its name, with or
#   without the port that it is measured at. How long, how many and how bad they may be is for guards/silences.rego.
package remediation.permits.alerts

import data.remediation.environment
import data.remediation.plan

permit contains step.id if {
	some step in plan.doing.silence_alert
	known_kind(step.action.target)
	plan.whole(step.action.minutes, 1, 1440)
	is_array(step.action.matchers)
	every matcher in step.action.matchers {
		is_string(matcher.name)
		is_string(matcher.value)
		matcher.value != ""
	}
	some named in step.action.matchers
	named.name == "alertname"
	narrow(step.action)
	environment.of(step.action.target) in data.platform.permits.silence_alert
}

# What an alert can be about, as the API itself calls it.
known_kind(target) if {
	name := concat(" ", [target.apiVersion, target.kind])
	name in {
		"apps/v1 DaemonSet",
		"apps/v1 Deployment",
		"apps/v1 ReplicaSet",
		"apps/v1 StatefulSet",
		"autoscaling/v2 HorizontalPodAutoscaler",
		"batch/v1 CronJob",
		"batch/v1 Job",
		"networking.k8s.io/v1 Ingress",
		"v1 Node",
		"v1 PersistentVolumeClaim",
		"v1 Pod",
		"v1 ResourceQuota",
		"v1 Service",
	}
}

narrow(action) if {
	action.target.namespace != ""
	some matcher in action.matchers
	matcher.name == "namespace"
	matcher.value == action.target.namespace
}

narrow(action) if {
	action.target.kind == "Node"
	some matcher in action.matchers
	matcher.name in {"node", "instance"}
	matcher.value == action.target.name
}

# As Prometheus calls what it measures a node by: one value, to the letter, so it covers less than the name alone.
narrow(action) if {
	action.target.kind == "Node"
	some matcher in action.matchers
	matcher.name == "instance"
	parts := split(matcher.value, ":")
	count(parts) == 2
	parts[0] == action.target.name
	regex.match(`^[1-9][0-9]{0,4}$`, parts[1])
}

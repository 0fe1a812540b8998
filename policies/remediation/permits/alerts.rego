# METADATA
# title: Silence an alert
# description: By named labels, one of which is the target's namespace, and no longer than data.platform.silence_minutes.
package remediation.permits.alerts

import data.remediation.environment
import data.remediation.plan

permit contains step.id if {
	some step in input.plan.steps
	step.action.kind == "silence_alert"
	plan.whole(step.action.minutes, 1, data.platform.silence_minutes)
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

narrow(action) if {
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

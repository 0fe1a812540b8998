# METADATA
# title: Run a Job again
# description: A new Job from the template of the old one, under a name of its own.
package remediation.permits.jobs

import data.remediation.environment
import data.remediation.plan

permit contains step.id if {
	some step in plan.doing.rerun_job
	step.action.target.apiVersion == "batch/v1"
	step.action.target.kind == "Job"
	regex.match(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`, step.action.new_name)
	step.action.new_name != step.action.target.name
	environment.of(step.action.target) in data.platform.permits.rerun_job
}

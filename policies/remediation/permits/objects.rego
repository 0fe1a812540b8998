# METADATA
# title: Create an object
# description: Only the kinds that data.platform.creatable lists, with a manifest that is the target's, holds no forbidden keys, and opens nothing to the outside.
package remediation.permits.objects

import data.remediation.environment
import data.remediation.permits.fields
import data.remediation.plan

permit contains step.id if {
	some step in plan.doing.create_object
	same(step.action.manifest, step.action.target)
	entry := entry_of(step.action.target)
	fields.harmless(plan.keys_within(step.action.manifest), entry.forbidden)
	inside(step.action.manifest)
	environment.of(step.action.target) in data.platform.permits.create_object
}

entry_of(target) := entry if {
	some entry in data.platform.creatable
	entry.api_version == target.apiVersion
	entry.kind == target.kind
}

# A Service that is reached from inside of the cluster only.
inside(manifest) if manifest.kind != "Service"

inside(manifest) if {
	manifest.kind == "Service"
	is_object(manifest.spec)
	object.get(manifest.spec, "type", "ClusterIP") == "ClusterIP"
}

# Owner references would let the garbage collector act on the new object; finalizers would keep it.
same(manifest, target) if {
	manifest.apiVersion == target.apiVersion
	manifest.kind == target.kind
	manifest.metadata.name == target.name
	manifest.metadata.namespace == target.namespace
	every key, _ in manifest.metadata {
		key in {"name", "namespace", "labels", "annotations"}
	}
}

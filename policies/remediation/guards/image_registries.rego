# METADATA
# title: Where images come from
# description: A new image comes from the repository that the container runs already, or from a registry on the list.
package remediation.guards.image_registries

deny contains reason if {
	some step in input.plan.steps
	step.action.kind == "change_fields"
	some change in step.action.changes
	endswith(change.path, "/image")
	not trusted(change)
	reason := {
		"rule": "image-registry",
		"step": step.id,
		"message": "the new image is from another repository than the one that runs, and from no registry on the list",
		"fix": {"op": "human", "text": "use a tag or digest of the same repository, or let the platform team list the registry"},
	}
}

trusted(change) if {
	is_string(change.before)
	is_string(change.after)
	repository(change.after) == repository(change.before)
}

trusted(change) if {
	is_string(change.after)
	some registry in data.platform.images.registries
	startswith(change.after, concat("", [registry, "/"]))
}

# Without digest, and without the tag: a colon before the last slash is a port.
repository(image) := concat("/", array.concat(array.slice(parts, 0, count(parts) - 1), [name])) if {
	undigested := split(image, "@")
	parts := split(undigested[0], "/")
	tagged := split(parts[count(parts) - 1], ":")
	name := tagged[0]
	name != ""
}

# METADATA
# title: Where images come from
# description: >-
#   A new image comes from the repository that the container runs already, or from a registry on the list; where the
#   environment wants it, it is named by its digest; and never by a tag that says nothing.
package remediation.guards.image_provenance

import data.remediation.environment
import data.remediation.plan

deny contains reason if {
	some change in changes
	not trusted(change)
	reason := {
		"rule": "image-registry",
		"step": change.step,
		"message": "the new image is from another repository than the one that runs, and from no registry on the list",
		"fix": {"op": "human", "text": "use a tag or digest of the same repository, or let the platform team list the registry"},
	}
}

deny contains reason if {
	some change in changes
	not pinned(change)
	reason := {
		"rule": "image-digest",
		"step": change.step,
		"message": "in this environment a new image is named by its digest, since a tag can be put on something else",
		"fix": {"op": "human", "text": "name the image by its digest: repository@sha256:..."},
	}
}

deny contains reason if {
	some change in changes
	not telling(change)
	reason := {
		"rule": "image-tag",
		"step": change.step,
		"message": "the new image has no tag, or one that does not say what is in it",
		"fix": {"op": "human", "text": "name the image by its digest, or by a tag of one version"},
	}
}

changes contains found if {
	some new in images
	found := {
		"step": new.step,
		"before": object.get(new.change, "before", null),
		"after": object.get(new.change, "after", null),
		"environment": environment.of(new.target),
	}
}

# A step whose environment cannot be told has no images that are known to be good.
deny contains reason if {
	some new in images
	not new.step in {found.step | some found in changes}
	reason := {"rule": "image-registry", "step": new.step, "message": "it is not known which images may run here"}
}

images := [found |
	some path in plan.paths
	endswith(path, "/image")
	some found in plan.changes
	found.change.path == path
]

# distribution/reference: registry/path/name:tag@digest
reference(image) if {
	is_string(image)
	regex.match(`^[a-z0-9]([a-zA-Z0-9.:-]*[a-z0-9])?(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$`, image)
}

trusted(change) if {
	reference(change.after)
	is_string(change.before)
	repository(spelt_out(change.after)) == repository(spelt_out(change.before))
}

trusted(change) if {
	reference(change.after)
	some registry in data.platform.images.registries
	startswith(spelt_out(change.after), concat("", [registry, "/"]))
}

pinned(change) if data.platform.images.digest[change.environment] == false

pinned(change) if {
	data.platform.images.digest[change.environment] == true
	regex.match(`@sha256:[0-9a-f]{64}$`, change.after)
}

telling(change) if regex.match(`@sha256:[0-9a-f]{64}$`, change.after)

telling(change) if {
	is_string(change.after)
	not contains(change.after, "@")
	parts := split(change.after, "/")
	tagged := split(parts[count(parts) - 1], ":")
	count(tagged) == 2
	is_array(data.platform.images.forbidden_tags)
	not tagged[1] in data.platform.images.forbidden_tags
}

# With the registry that goes without saying.
spelt_out(image) := image if has_registry(image)

spelt_out(image) := concat("", ["docker.io/", image]) if {
	not has_registry(image)
	contains(image, "/")
}

spelt_out(image) := concat("", ["docker.io/library/", image]) if {
	not has_registry(image)
	not contains(image, "/")
}

has_registry(image) if {
	parts := split(image, "/")
	count(parts) > 1
	regex.match(`[.:]|^localhost$`, parts[0])
}

# Without digest, and without the tag: a colon before the last slash is a port.
repository(image) := concat("/", array.concat(array.slice(parts, 0, count(parts) - 1), [name])) if {
	undigested := split(image, "@")
	parts := split(undigested[0], "/")
	tagged := split(parts[count(parts) - 1], ":")
	name := tagged[0]
	name != ""
}

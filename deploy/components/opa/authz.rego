# METADATA
# title: Who may use this OPA
# description: The sidecar, by its token, and nobody else; that it lives may be asked by everybody.
package system.authz

default allow := false

allow if {
	is_string(data.identity.sidecar)
	count(data.identity.sidecar) >= 32
	input.identity == data.identity.sidecar
}

allow if {
	input.method == "GET"
	input.path == ["health"]
}

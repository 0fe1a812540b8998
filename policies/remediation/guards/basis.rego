# METADATA
# title: What a plan rests on
# description: >-
#   A plan whose cause or action is a language model's word is put before people, whatever the environment and the autonomy.
#   What it rests on is the agent's own word: it can only make a plan stricter. Anything but "checks" asks people.
package remediation.guards.basis

review contains reason if {
	not on_checks
	reason := {
		"rule": "rests-on-model",
		"message": "its cause or its action is a language model's word: people are asked first",
	}
}

# What a plan does not say is the contract's default.
on_checks if object.get(input.plan, "basis", "checks") == "checks"

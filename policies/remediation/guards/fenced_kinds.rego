# METADATA
# title: Fenced kinds
# description: Kinds that grant rights, hold secrets or change the API itself are never a target, in whatever spelling.
package remediation.guards.fenced_kinds

import data.remediation.plan

deny contains reason if {
	some kind in plan.kinds
	not open(lower(kind))
	some touch in plan.touched
	touch.target.kind == kind
	reason := {
		"rule": "fenced-kind",
		"step": touch.step,
		"message": concat("", ["objects of kind ", kind, " are never changed by an agent"]),
		"fix": {"op": "human", "text": "a person makes this change, through the way that is kept for it"},
	}
}

# In lower case, as it is said and without a plural's ending.
open(kind) if {
	count(fenced) > 0
	not kind in fenced
	not trim_suffix(kind, "s") in fenced
}

fenced := split(lower(concat(" ", data.platform.fenced.kinds)), " ") if count(data.platform.fenced.kinds) > 0

# METADATA
# title: How long a verdict holds
# description: >-
#   The time of a lease, or what is left until the next freeze begins or the window closes: a lease never outlasts what the
#   calendar allows, and the verdict says why it is shorter than usual. Undefined where that cannot be reckoned; then there is
#   no verdict. Where a window's clock is set before that (summer time), nothing is reckoned beyond it.
package remediation.lasting

import data.remediation.environment
import data.remediation.plan

seconds := plan.smallest({end.left | some end in ends} | {data.platform.lease.seconds})

# Why it is shorter than usual; "" where it is not.
why := soonest.why if seconds < data.platform.lease.seconds

why := "" if seconds == data.platform.lease.seconds

# What ends the time for changes first, one of those that do at the same moment.
soonest := end if {
	first := {end | some end in ends; end.left == seconds}
	some end in first
	end.why == plan.smallest({other.why | some other in first})
	over(end) == plan.largest({over(other) | some other in first; other.why == end.why})
}

# Freezes of one name may begin at once and end apart, by environment.
over(end) := object.get(end.fix, "until", "")

# What ends the time for changes, and in how many seconds, for each place of the plan.
ends contains end if {
	some freeze in data.platform.freezes
	input.facts.now_epoch < freeze.from_epoch
	some namespace in environment.places
	environment.by_namespace[namespace] in freeze.environments
	end := {
		"left": freeze.from_epoch - input.facts.now_epoch,
		"rule": "change-freeze",
		"why": concat("", ["its rights end by ", freeze.from, ", when the freeze ", freeze.name, " begins"]),
		"fix": {"op": "wait", "text": concat("", ["submit it again after ", freeze.until]), "until": freeze.until},
	}
}

ends contains end if {
	some namespace in environment.places
	windows := data.platform.windows[environment.by_namespace[namespace]]
	is_array(windows)
	closing := {found | some window in windows; some found in closings(window, windows)}
	last := plan.largest({found.left | some found in closing})
	some found in closing
	found.left == last
	end := {
		"left": found.left,
		"rule": "change-window",
		"why": concat("", ["its rights end by ", found.at, ", when the change window closes"]),
		"fix": {"op": "wait", "text": "submit it again inside a change window of the environment"},
	}
}

# When a window that is open closes, and the one that goes on where it ends: at the same minute, or after midnight.
closings(window, windows) := {found |
	local := input.clock[window.zone]
	local.weekday in window.days
	local.minute >= window.from_minute
	local.minute < window.until_minute
	some until in {{"minute": window.until_minute, "clock": window.until}} | onward(window, local.weekday, windows)
	closes := ((until.minute - local.minute) * 60) - (input.facts.now_epoch - (floor(input.facts.now_epoch / 60) * 60))
	left := plan.smallest([closes, object.get(local, "set_in", closes)])
	found := {"left": left, "at": concat("", [until.clock, " ", window.zone, set_before(left, closes)])}
}

set_before(left, closes) := "" if left == closes

set_before(left, closes) := ", or before its clock is set" if left != closes

onward(window, weekday, windows) := {until |
	some next in windows
	next.zone == window.zone
	until := {"minute": going_on(next, window.until_minute, weekday), "clock": next.until}
}

going_on(next, minute, weekday) := next.until_minute if {
	weekday in next.days
	next.from_minute <= minute
	minute < next.until_minute
}

going_on(next, 1440, weekday) := 1440 + next.until_minute if {
	next.from_minute == 0
	following[weekday] in next.days
}

following := {"mon": "tue", "tue": "wed", "wed": "thu", "thu": "fri", "fri": "sat", "sat": "sun", "sun": "mon"}

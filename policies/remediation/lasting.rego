# METADATA
# title: How long a verdict holds
# description: >-
#   The time of a lease, or what is left until the next freeze begins or the window closes: a lease never outlasts what the
#   calendar allows. Undefined where that cannot be reckoned; then there is no verdict. Where a window's clock is set before
#   that (summer time), nothing is reckoned beyond it.
package remediation.lasting

import data.remediation.environment
import data.remediation.plan

seconds := plan.smallest(ends | {data.platform.lease.seconds})

# Seconds until what ends the time for changes, for each place of the plan.
ends contains freeze.from_epoch - input.facts.now_epoch if {
	some freeze in data.platform.freezes
	input.facts.now_epoch < freeze.from_epoch
	some namespace in environment.places
	environment.by_namespace[namespace] in freeze.environments
}

ends contains closes if {
	some namespace in environment.places
	windows := data.platform.windows[environment.by_namespace[namespace]]
	is_array(windows)
	closes := plan.largest({left | some window in windows; some left in closings(window, windows)})
}

# When a window that is open closes, and the one that goes on where it ends: at the same minute, or after midnight.
closings(window, windows) := {left |
	local := input.clock[window.zone]
	local.weekday in window.days
	local.minute >= window.from_minute
	local.minute < window.until_minute
	some until in {window.until_minute} | onward(window, local.weekday, windows)
	closes := ((until - local.minute) * 60) - (input.facts.now_epoch - (floor(input.facts.now_epoch / 60) * 60))
	left := plan.smallest([closes, object.get(local, "set_in", closes)])
}

onward(window, weekday, windows) := {until |
	some next in windows
	next.zone == window.zone
	until := going_on(next, window.until_minute, weekday)
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

"""What became of silences that somebody asked for, in lines of plain text: for the terminal and for conversations."""

from collections.abc import Sequence

from agent.domain.outcome import Round
from agent.rendering.safety import one_line


def silence_lines(rounds: Sequence[Round], left: Sequence[str]) -> list[str]:
    """`left`: what could not be asked for."""
    told = [line for round_ in rounds for line in _told(round_)]
    return [one_line(line) for line in (*told, *(f"not silenced: {line}" for line in left))]


def _told(round_: Round) -> list[str]:
    steps = round_.plan.steps
    about = f"{len(steps)} alert{'s' * (len(steps) != 1)} about {steps[0].action.target}"
    if round_.end == "helped":
        silences = [result.after.get("/silence") for result in round_.steps]
        until = next((str(one["until"])[:16] for one in silences if isinstance(one, dict) and "until" in one), "")
        return [f"silenced: {about}, until {until.replace('T', ' ')} UTC (plan {round_.plan.digest[:12]})"]
    denied = round_.decision.reasons if round_.decision is not None and round_.end == "denied" else ()
    fixes = dict.fromkeys(reason.fix.text for reason in denied if reason.fix is not None)
    why = round_.note or round_.end or "it is not known why"
    passes = f" ({'; '.join(fixes)})" if fixes else ""
    return [f"not silenced: {about}: {'denied: ' if denied else ''}{why}{passes}"]

"""Ask the sources beside the cluster what they know about that which a first diagnosis found. None of them is needed: what one
does not say in time is a gap, and where none is on, nothing is asked and nothing waits."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

from agent.domain.finding import Diagnosis
from agent.domain.incident import Incident
from agent.domain.testimony import Matter
from agent.errors import ClusterUnreachable, ReadRefused
from agent.ports import Gap, Observed
from agent.ports.tracing import span
from agent.ports.witnesses import Witness
from agent.reasoning.neighbourhood import neighbourhood
from agent.stages.gather import Sight

logger = logging.getLogger(__name__)

SECONDS = 8.0  # that a run waits for all of them together


async def consult(
    incident: Incident, diagnosis: Diagnosis, sight: Sight, *, witnesses: Sequence[Witness], seconds: float = SECONDS
) -> tuple[Sight, str]:
    """The sight with what they told, and in words whom that came from; the very same sight where there was nothing to ask."""
    if not witnesses or sight.is_whole:
        return sight, ""
    measured = any(one.name.startswith("container_") for one in sight.series)
    matter = await asyncio.to_thread(
        neighbourhood, incident, diagnosis, sight.observed, sight.window, measured=measured
    )  # fmt: skip
    if matter is None:
        return sight, ""
    wanted = [(one, what) for one in witnesses if (what := one.wanted(matter))]
    off = tuple(Gap(what=what, why=one.why_off) for one, what in wanted if one.why_off)
    asked = [(one, what) for one, what in wanted if not one.why_off]
    told = await asyncio.gather(*(_told(one, what, matter, seconds) for one, what in asked))
    if not off and not told:
        return replace(sight, is_whole=True), ""
    names = ", ".join(one.name for (one, _), seen in zip(asked, told, strict=True) if _says_something(seen))
    return replace(
        sight, observed=_together(sight.observed, (*told, Observed(now=sight.observed.now, gaps=off))), is_whole=True
    ), names


async def _told(witness: Witness, what: str, matter: Matter, seconds: float) -> Observed:
    with span("tool", f"{witness.name}.tell", source=witness.name) as noted:
        try:
            async with asyncio.timeout(seconds):
                seen = await witness.tell(matter)
        except (ReadRefused, ClusterUnreachable) as exc:
            noted.failed = "refused"
            return Observed(now=matter.window.end, gaps=(Gap(what=what, why=str(exc)),))
        except TimeoutError:
            noted.failed = "timeout"
            return Observed(now=matter.window.end, gaps=(Gap(what=what, why=f"no answer within {seconds:g} s"),))
        except Exception as exc:  # what a source answers may be anything, and none of them is worth the run
            logger.warning("what %s answered broke us", witness.name, exc_info=exc)
            noted.failed = "broken"
            return Observed(
                now=matter.window.end, gaps=(Gap(what=what, why=f"its answer is out of form ({type(exc).__name__})"),)
            )
        noted.note(gaps=len(seen.gaps))
        return seen


def _says_something(seen: Observed) -> bool:
    return bool(seen.objects or seen.logs or seen.testimony)


def _together(first: Observed, others: Sequence[Observed]) -> Observed:
    """What was read of the cluster stands; of a log that both have, the cluster's."""
    have = {(log.namespace, log.pod, log.container, log.previous) for log in first.logs if log.text}
    found = first
    for one in others:
        logs = tuple(log for log in one.logs if (log.namespace, log.pod, log.container, log.previous) not in have)
        found = replace(
            found,
            objects=(*found.objects, *one.objects),
            logs=(*found.logs, *logs),
            gaps=tuple(dict.fromkeys((*found.gaps, *one.gaps))),
            testimony=found.testimony.and_(one.testimony),
        )
    return found

"""What a scan says, in words that a terminal and a page share: the verdict, and what to ask next."""

from typing import Literal

from agent.domain.scan import Scan, Trouble
from agent.topology.workloads import CONTROLLED

Tone = Literal["good", "bad", "warn"]


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def verdict(found: Scan) -> tuple[str, Tone]:
    """One sentence, and how it is meant."""
    if not found.troubles and found.outcome == "healthy":
        return "Nothing is wrong.", "good"
    if not found.troubles:
        return f"Nothing can be said: {', '.join(found.blind)} objects could not be read.", "warn"
    causes = sum(1 for one in found.troubles if one.cause)
    verb = "lacks" if found.unready == 1 else "lack"
    lack = f"{found.unready:,} of {found.workloads:,} workloads {verb} pods" if found.unready else "All pods are up"
    told = f"{counted(causes, 'cause')} found" if causes else "no cause was seen"
    return f"{lack}; {told}.", "bad"


def reservation(found: Scan) -> str:
    """What a clean bill of health rests on, "" where there is nothing to add."""
    if found.troubles or found.outcome != "healthy" or not found.unheard:
        return ""
    whose = f"{counted(found.unheard, 'workload')} that {'calls' if found.unheard == 1 else 'call'} others"
    return f"As objects and events show it; the logs of {whose} were not read."


def question(trouble: Trouble) -> str:
    """Asked of something that people have a name for: a workload that suffers, else the subject itself."""
    subject = trouble.roots[0].finding.subject
    hit = [one for one in (*trouble.roots[0].finding.affects, *trouble.victims) if one.kind in CONTROLLED]
    about = subject if subject.kind in (*CONTROLLED, "Service", "Node") or not hit else hit[0]
    where = f" in namespace {about.namespace}" if about.namespace else ""
    return f"why does {about.name}{where} fail?"

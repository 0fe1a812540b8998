"""What something needs, one step away: what it calls, reads, mounts, runs on and is held by, and how each stands. Pure."""

from collections.abc import Sequence

from agent.domain.answer import Answer
from agent.domain.finding import Diagnosis, Finding
from agent.reasoning.answers.clarity import state
from agent.reasoning.answers.reply import answered, listed, table
from agent.reasoning.focus import Focus
from agent.topology import Topology

_SAID = {
    "calls": "calls it", "runs-on": "runs on it", "selects": "sends to it", "refers-to": "reads or names it", "owns": "makes it",
    "scales": "scales it", "limited-by": "is limited by it", "binds-role": "has its rights from it", "routes-to": "routes to it",
    "protects": "protects it",
}  # fmt: skip
_TOLD = ("calls", "routes-to", "refers-to", "selects", "scales")  # in the sentence; all others in the table only


def what_it_needs(focus: Focus, topology: Topology, findings: Sequence[Finding], missing: tuple[str, ...]) -> Diagnosis:
    asked = [topology.unit(one) for one in focus.objects]
    edges = {
        (edge.target, edge.relation)
        for one in asked
        for edge in topology.edges.get(one, ())
        if edge.target in topology.objects and topology.unit(edge.target) not in asked
    }
    found = sorted(edges, key=lambda one: (one[1] not in _TOLD, one[1] != "calls", one[0]))
    rows, left = table((str(ref), _SAID.get(relation, relation), state(topology, ref, findings)) for ref, relation in found)
    told = [ref for ref, relation in found if relation in _TOLD]
    who = listed(asked)
    said = (
        f"{who} {'needs' if len(asked) == 1 else 'need'} {len(found)} other objects directly, as configuration and logs show:"
        f" {listed(told or [ref for ref, _ in found])}."
        if found
        else f"Nothing that {who} {'needs' if len(asked) == 1 else 'need'} could be seen."
    )
    notes = (*left, "calls are read from configuration and logs: what a program finds out while it runs may not be seen")
    return answered(Answer(intent="needs", columns=("what", "how", "state"), rows=rows, notes=notes), said, missing=missing)

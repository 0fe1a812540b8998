"""What connects the objects of a diagnosis: the edges among them, and what lies between an affected object and its cause."""

from agent.domain.finding import Diagnosis, Finding, RankedCause, RuledOut
from agent.domain.objects import Ref
from agent.domain.tie import Tie
from agent.reasoning.ties import MOST_TIES, ties
from agent.topology.graph import Edge
from tests.agent.builders import topology


def world(*edges: tuple[Ref, str, Ref]):
    """A topology of these edges and nothing else: ("web", "calls", "api") is web that depends on api."""
    seen = topology()
    for source, relation, target in edges:
        seen.edges.setdefault(source, []).append(Edge(source, target, relation))
    return seen


def diagnosis(cause: Ref, *victims: Ref, suspects: tuple[Ref, ...] = ()) -> Diagnosis:
    return Diagnosis(
        outcome="fault",
        statement="",
        causes=(RankedCause(finding=Finding(cause="c", subject=cause, statement="")),),
        ruled_out=tuple(RuledOut(finding=Finding(cause="c", subject=ref, statement=""), by="") for ref in suspects),
        victims=victims,
    )


WEB, SERVICE, API, CONFIG, OTHER = (Ref("Deployment", "shop", name) for name in ("web", "service", "api", "config", "other"))


def test_what_lies_between_is_part_of_it_and_what_lies_beside_is_not():
    seen = world((WEB, "calls", SERVICE), (SERVICE, "selects", API), (API, "mounts", CONFIG), (WEB, "calls", OTHER))

    assert set(ties(diagnosis(API, WEB), seen)) == {
        Tie(source=WEB, target=SERVICE, relation="calls"),
        Tie(source=SERVICE, target=API, relation="selects"),
    }


def test_a_suspect_is_joined_to_the_cause_too():
    seen = world((OTHER, "mounts", API))

    assert ties(diagnosis(API, suspects=(OTHER,)), seen) == (Tie(source=OTHER, target=API, relation="mounts"),)


def test_a_circle_ends_and_so_does_a_cluster_where_everything_hangs_together():
    refs = [Ref("Deployment", "shop", str(number)) for number in range(60)]
    seen = world(*((one, "calls", other) for one in refs for other in refs))

    assert len(ties(diagnosis(refs[0], *refs[1:]), seen)) <= MOST_TIES


def test_without_a_cause_nothing_is_tied():
    assert ties(Diagnosis(outcome="healthy", statement=""), world((WEB, "calls", API))) == ()

"""Cause and affected as a picture: whatever the cluster is like, boxes stand apart, text is text, and what matters is in it."""

import re
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.domain.finding import Diagnosis, Finding, RankedCause, RuledOut
from agent.domain.objects import Ref
from agent.domain.tie import Tie
from agent.rendering.picture import BOX_HEIGHT, BOX_WIDTH, MOST_BOXES, picture, said

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '"/><script>alert(1)</script>\u202e'
refs = st.builds(
    Ref,
    st.sampled_from(["Deployment", "Service", "Pod", "Node", HOSTILE]),
    st.sampled_from(["", "shop", "n" * 63]),
    st.text(min_size=1, max_size=253),
)


def finding(subject: Ref, *affects: Ref) -> Finding:
    return Finding(cause="oom-killed", subject=subject, statement="", affects=affects)


@st.composite
def diagnoses(draw: st.DrawFn) -> Diagnosis:
    known = draw(st.lists(refs, min_size=1, max_size=40, unique=True))
    some = st.lists(st.sampled_from(known), max_size=15)
    ties = [Tie(source=draw(st.sampled_from(known)), target=draw(st.sampled_from(known)), relation="calls") for _ in known]
    return Diagnosis(
        outcome="fault",
        statement="",
        causes=tuple(RankedCause(finding=finding(ref, *draw(some))) for ref in known[: draw(st.integers(1, 3))]),
        ruled_out=tuple(RuledOut(finding=finding(ref), by="") for ref in draw(some)),
        victims=tuple(draw(some)),
        ties=tuple(ties),
    )


def boxes(svg: str) -> list[tuple[float, float]]:
    tree = ElementTree.fromstring(svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))
    return [(float(one.get("x")), float(one.get("y"))) for one in tree.iter(f"{SVG}rect")]


@settings(max_examples=60, deadline=None)
@given(diagnoses())
def test_every_picture_is_well_formed_and_no_box_lies_on_another_or_outside(diagnosis):
    svg = str(picture(diagnosis))
    placed = boxes(svg)
    width, height = map(float, re.search('viewBox="0 0 ([0-9]+) ([0-9]+)"', svg).groups())

    assert 1 <= len(placed) <= MOST_BOXES
    assert "<script" not in svg
    assert "\u202e" not in svg
    for number, (x, y) in enumerate(placed):
        assert 0 <= x <= width - BOX_WIDTH
        assert 0 <= y <= height - BOX_HEIGHT
        for other_x, other_y in placed[:number]:
            assert abs(x - other_x) >= BOX_WIDTH or abs(y - other_y) >= BOX_HEIGHT


def test_the_way_from_the_affected_to_the_cause_is_drawn_with_its_relations():
    cause, service, web = Ref("Deployment", "shop", "api"), Ref("Service", "shop", "api"), Ref("Deployment", "shop", "web")
    diagnosis = Diagnosis(
        outcome="fault",
        statement="",
        causes=(RankedCause(finding=finding(cause, web)),),
        ties=(Tie(source=web, target=service, relation="calls"), Tie(source=service, target=cause, relation="selects")),
    )

    svg = str(picture(diagnosis))

    assert [x for x, _ in boxes(svg)] == sorted(x for x, _ in boxes(svg))
    assert "Deployment shop/web calls Service shop/api" in svg
    assert "Service shop/api selects Deployment shop/api" in svg
    assert "suffers from" not in svg
    assert said(diagnosis) == "Cause: Deployment shop/api. Affected: Deployment shop/web."


def test_a_long_name_is_cut_in_the_middle_and_whole_in_the_title():
    name = "checkout-" + "x" * 60 + "-7d4f9-abcde"
    svg = str(picture(Diagnosis(outcome="fault", statement="", causes=(RankedCause(finding=finding(Ref("Pod", "shop", name))),))))

    assert f"cause: Pod shop/{name}" in svg
    assert re.search('<text class="name"[^>]*>checkout-[^<]*…[^<]*-abcde</text>', svg)


def test_without_a_cause_there_is_no_picture():
    assert picture(Diagnosis(outcome="healthy", statement="all is well")) == ""

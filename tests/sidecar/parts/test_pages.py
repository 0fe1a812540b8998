"""What a page says of a long plan: short where it is a heading, whole where it is what people say yes to."""

from sidecar.approvals import Person
from sidecar.contract import ChangePreview
from sidecar.people_api.layout import rendered
from sidecar.people_api.seal import Session
from tests.sidecar.parts.slack_views import AT, DIFF, view

STEPS = tuple(ChangePreview(step=f"step-{n}", summary=f"scale web-{n}", diff=DIFF, reversible=True) for n in range(1, 21))


def page(template: str, **content) -> str:
    session = Session(person=Person(name="ada", roles=frozenset({"sre"})), until=AT, csrf="c")
    around = {"session": session, "here": "/approvals", "now": AT, "name": "Lestrade", "cluster": "eu-1"}
    return rendered(template, 200, "", **around, **content).body.decode()


def approval(changes: tuple[ChangePreview, ...], **over) -> str:
    shown = view(changes=changes, **over)
    diffs = {change.step: [] for change in changes}
    more = {"why": "", "answerable": True, "revocable": False, "glass_role": "break-glass", "told": ""}
    return page("approval.html", view=shown, state="waiting", diffs=diffs, **more)


def heading(text: str) -> str:
    return text.partition("<h1>")[2].partition("</h1>")[0]


def test_the_heading_of_a_long_plan_names_some_steps_and_the_page_all_of_them():
    text = approval(STEPS)
    assert heading(text) == "scale web-1; scale web-2; scale web-3; and 17 more steps"
    assert [text.count(f"<strong>{change.step}</strong> {change.summary}") for change in STEPS] == [1] * 20
    assert heading(approval(STEPS[:4])).endswith("; and 1 more step")
    assert heading(approval(STEPS[:3])).endswith("; scale web-3")


def test_whoever_is_asked_shortly_before_a_freeze_sees_when_it_has_to_be_over():
    ends = "its rights end by 2026-12-19T00:00:00+00:00, when the freeze year end begins"
    assert ends in approval(STEPS[:1], lease_ends=ends)
    assert "Little time" not in approval(STEPS[:1])

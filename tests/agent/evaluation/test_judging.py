"""Marks go by the truth alone: cause, culprit, what is said and what must not be, at most three named."""

import pytest

from agent.domain.objects import Ref
from agent.errors import InputError
from agent.evaluation.answers import Answer
from agent.evaluation.judging import changes, mark
from agent.evaluation.truth import Truth, read_truth, recordings
from agent.ports import Candidate

WEB = Ref("Deployment", "shop", "web")
FAULT = Truth(
    name="x", question="q", alerts=(), outcome="fault", cause="oom-killed", resource=WEB, also_affected=(),
    must_mention=(("OOMKilled", "out of memory"), ("web",)), forbidden=("node is down",),
    acceptable=("raise the limit",), unsafe=("delete the namespace",),
)  # fmt: skip
HEALTHY = Truth(
    name="y", question="q", alerts=(), outcome="healthy", cause="none", resource=None, also_affected=(),
    must_mention=(), forbidden=(), acceptable=("none needed",), unsafe=(),
)  # fmt: skip


RAISE = (Candidate(id="a", human="raise the limit"),)


def answer(outcome="fault", named=(("oom-killed", WEB),), said="web is OOMKilled", remedies=RAISE):
    return Answer(outcome=outcome, named=tuple(named), statement=said, said=said, remedies=tuple(remedies), seconds=0.1)


def test_a_right_answer_has_nothing_wrong():
    found = mark(FAULT, answer(), "question")

    assert found.wrong == ()
    assert (found.cause_right, found.resource_right, found.precision, found.remedy_acceptable) == (True, True, 1.0, True)
    assert found.left_alone is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (answer(outcome="healthy", named=(), remedies=()), "outcome healthy, not fault"),
        (answer(named=(("crash-loop", WEB),)), "cause crash-loop, not oom-killed"),
        (answer(named=(("oom-killed", Ref("Node", "", "n")),)), "blames Node n, not Deployment shop/web"),
        (answer(said="web is OOMKilled because the node is down"), "claims: node is down"),
        (answer(said="web crashes"), "does not mention OOMKilled or out of memory"),
        (answer(named=[(f"c{n}", Ref("Pod", "shop", str(n))) for n in range(4)]), "names 4 causes"),
        (answer(remedies=()), "remedy not among the acceptable: none"),
        (answer(remedies=(Candidate(id="a", human="delete the namespace"),)), "unsafe: delete the namespace"),
    ],
)
def test_what_is_wrong_is_said(given, words):
    assert any(words in one for one in mark(FAULT, given, "question").wrong)


def test_naming_others_beside_the_culprit_costs_precision():
    other = ("bad-release", Ref("Deployment", "shop", "api"))

    assert mark(FAULT, answer(named=(("oom-killed", WEB), other)), "question").precision == 0.5


def test_what_is_healthy_is_to_be_left_alone():
    assert mark(HEALTHY, answer(outcome="healthy", named=(), remedies=()), "question").left_alone is True
    assert mark(HEALTHY, answer(), "question").left_alone is False


def test_a_changed_conclusion_is_a_change_and_another_quote_is_none():
    assert changes(answer(), answer(said="web is OOMKilled, they say")) == []
    assert changes(answer(), answer(outcome="unknown"))
    assert changes(answer(), answer(named=(("bad-release", WEB),)))
    assert changes(answer(), answer(remedies=(Candidate(id="b", human="restart"),)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "a mapping is expected"),
        ("question: q", "field expected"),
        ("question: q\nexpected: {outcome: maybe}", "field expected.outcome"),
        ("question: q\nexpected: {outcome: fault, cause: c}", "field expected.resource"),
        ("question: ''\nexpected: {outcome: healthy, cause: none}", "field question"),
        ("question: q\nalert: {}\nexpected: {outcome: healthy, cause: none}", "field alert.alerts"),
        ("question: [", "no YAML"),
        ("question: 2026-13-01", "no YAML: month must be"),
    ],
)
def test_a_truth_that_is_none_is_one_clear_line(tmp_path, text, words):
    path = tmp_path / "x.truth.yaml"
    path.write_text(text)

    with pytest.raises(InputError, match=words) as told:
        read_truth(path)
    assert str(told.value).startswith(str(path))


def test_half_a_recording_and_an_empty_folder_are_said(tmp_path):
    with pytest.raises(InputError, match="no recordings in it"):
        recordings(tmp_path)
    (tmp_path / "x.truth.yaml").write_text("{}")
    with pytest.raises(InputError, match=r"its snapshot .* is not beside it"):
        recordings(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        recordings(tmp_path / "none")

"""What is believed of a model's answer, and what it may change in the diagnosis."""

import dataclasses
import json

import pytest

from agent.domain.assessment import Assessment
from agent.domain.finding import Diagnosis, Finding, RankedCause
from agent.domain.objects import Ref
from agent.reasoning.model.faithfulness import Known, Piece, believed
from agent.reasoning.model.merging import CLEAR, MOST_BY_MODEL, merged
from agent.reasoning.model.proposal import NotInForm, Proposal, read_proposal
from agent.stages.diagnose import heeding

WEB, DB = Ref("Deployment", "shop", "web"), Ref("StatefulSet", "shop", "db")
PIECES = {
    "ev-1": Piece(source="log: web", text="FATAL: variable  DATABASE_URL is\nnot set"),
    "look-1": Piece(source="kubernetes: events", text="Warning FailedMount ConfigMap settings not found"),
    "look-2": Piece(source="log: db", text="PANIC: could not write to file: No space left on device"),
}
KNOWN = Known(pieces=PIECES, objects={WEB, DB}, findings={"missing-env-var@Deployment/shop/web"})
QUOTE = {"evidence": "ev-1", "words": "variable DATABASE_URL is not set"}
FULL = {"evidence": "look-2", "words": "No space left on device"}
MOUNT = {"evidence": "look-1", "words": "ConfigMap settings not found"}


def offline(confidence: float = 0.9, outcome: str = "fault") -> Diagnosis:
    finding = Finding(cause="missing-env-var", subject=WEB, statement="web lacks a variable")
    causes = (RankedCause(finding=finding, confidence=confidence, evidence=("ev-1",)),) if outcome == "fault" else ()
    return Diagnosis(outcome=outcome, statement="so it is", causes=causes)


def proposal(outcome: str = "fault", **parts) -> Proposal:
    return Proposal.model_validate({"outcome": outcome, "summary": "in short", **parts})


def cause(*evidence, kind: str = "Deployment", name: str = "web", slug: str = "missing-env-var", **more):
    subject = {"kind": kind, "namespace": "shop", "name": name}
    return {"cause": slug, "subject": subject, "statement": "it is so", "evidence": list(evidence), **more}


def both(answer: Proposal, checks: Diagnosis):
    kept = believed(answer, KNOWN)
    return merged(checks, "m", answer.outcome, kept, PIECES), kept


def test_a_quote_stands_whatever_its_line_breaks():
    kept = believed(proposal(causes=[cause(QUOTE)]), KNOWN)

    assert len(kept.causes) == 1
    assert kept.violations == ()


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        (cause(), "nothing that it cites stands"),
        (cause({"evidence": "ev-9", "words": "variable DATABASE_URL"}), "there is no evidence ev-9"),
        (cause({"evidence": "ev-1", "words": "DATABASE_URL is fine"}), "does not stand in ev-1"),
        (cause({"evidence": "ev-1", "words": "is"}), "too short"),
        (cause(QUOTE, name="ghost"), "Deployment shop/ghost was not seen"),
        (cause(QUOTE, statement="see ev-44"), "ev-44, and there is no such evidence"),
        (cause(QUOTE, statement="because Pod shop/ghost-1 said so"), "Pod shop/ghost-1, which was not seen"),
        (cause(QUOTE, confirms="made-up@Deployment/shop/web"), "there is no finding made-up"),
    ],
)
def test_a_claim_that_does_not_stand_is_dropped_and_named(claim, said):
    kept = believed(proposal(causes=[claim]), KNOWN)

    assert kept.causes == ()
    assert said in "\n".join(kept.violations)


def test_a_slip_beside_a_quote_that_stands_costs_the_quote_only():
    kept = believed(proposal(causes=[cause(QUOTE, {"evidence": "ev-9", "words": "something else"})]), KNOWN)

    assert [one.evidence for one in kept.causes[0].evidence] == ["ev-1"]
    assert kept.violations != ()


def test_a_missing_object_may_be_blamed_when_a_quote_names_it():
    kept = believed(proposal(causes=[cause(MOUNT, kind="ConfigMap", name="settings", slug="missing-configmap")]), KNOWN)

    assert len(kept.causes) == 1


def test_agreement_makes_surer_and_only_with_evidence_of_its_own():
    same, _ = both(proposal(causes=[cause(QUOTE)]), offline(0.7))
    more, _ = both(proposal(causes=[cause(QUOTE, MOUNT)]), offline(0.7))

    assert same.diagnosis.causes[0].confidence == 0.7
    assert more.diagnosis.causes[0].confidence == 0.74
    assert (same.agrees, more.agrees) == (True, True)


def test_what_the_checks_saw_clearly_no_model_talks_away():
    refutation = {"finding": "missing-env-var@Deployment/shop/web", "why": "no", "evidence": [QUOTE]}

    whole, _ = both(proposal("healthy", refutes=[refutation]), offline(CLEAR))

    assert whole.diagnosis.outcome == "fault"
    assert whole.diagnosis.causes[0].confidence == CLEAR
    assert "what the checks saw stands" in whole.disagreements[0]
    assert "(ev-1)" in whole.disagreements[0]
    assert whole.agrees is False


def test_a_doubtful_cause_that_is_contested_with_evidence_is_less_sure_and_comes_last():
    refutation = {"finding": "missing-env-var@Deployment/shop/web", "why": "no", "evidence": [MOUNT]}
    own = cause(FULL, kind="StatefulSet", name="db", slug="disk-full")

    whole, _ = both(proposal(causes=[own], refutes=[refutation]), offline(0.5))

    assert [one.finding.cause for one in whole.diagnosis.causes] == ["disk-full", "missing-env-var"]
    assert whole.diagnosis.causes[1].confidence == 0.35


def test_what_only_a_model_says_is_marked_and_never_sure():
    own = cause(FULL, QUOTE, MOUNT, kind="StatefulSet", name="db", slug="disk-full", statement="Click approve now, it is fine")

    whole, _ = both(proposal(causes=[own]), offline(outcome="unknown"))
    named = whole.diagnosis.causes[0]

    assert whole.diagnosis.outcome == "fault"
    assert named.confidence <= MOST_BY_MODEL < CLEAR
    assert named.finding.statement.startswith("As the model says: disk full, StatefulSet shop/db.")
    assert "Click approve" not in named.finding.statement
    assert any("the model's own words: Click approve" in line for line in named.because)
    assert whole.own == (named.finding.id,)


@pytest.mark.parametrize(("evidence", "outcome"), [([FULL], "healthy"), ([FULL, QUOTE], "fault")])
def test_against_a_healthy_cluster_one_source_is_not_enough(evidence, outcome):
    own = cause(*evidence, kind="StatefulSet", name="db", slug="disk-full")

    whole, _ = both(proposal(causes=[own]), offline(outcome="healthy"))

    assert whole.diagnosis.outcome == outcome
    assert "the checks see no active fault; the model says disk-full" in whole.disagreements[0]


def test_nothing_said_changes_nothing_but_who_answered():
    whole, _ = both(proposal("unknown"), offline())

    assert dataclasses.replace(whole.diagnosis, reasoner="offline") == offline()
    assert whole.agrees is None


@pytest.mark.parametrize(
    "said",
    [
        '{"outcome": "unknown", "summary": "s"}',
        'Here it is:\n```json\n{"outcome": "unknown", "summary": "s"}\n```\nThat is all.',
        'Well, {"outcome": "unknown", "summary": "s"} I think',
    ],
)
def test_an_answer_is_found_in_what_a_model_wraps_it_in(said):
    assert read_proposal(said).outcome == "unknown"


@pytest.mark.parametrize("said", ["", "no", "[1]", '{"outcome": 7}', '{"outcome": "fault"', "{" * 5000, '"text"'])
def test_what_is_no_answer_is_said_to_be_none(said):
    with pytest.raises(NotInForm):
        read_proposal(said)


@pytest.mark.parametrize(("acted", "outcome"), [(False, "fault"), (True, "unknown")])
def test_until_something_was_done_what_the_model_named_is_not_forgotten(acted, outcome):
    own = cause(FULL, kind="StatefulSet", name="db", slug="disk-full")
    whole, _ = both(proposal(causes=[own]), offline(outcome="unknown"))
    assessed = dataclasses.replace(whole.diagnosis, assessment=Assessment(model="m", outcome="answered"))

    again = heeding(offline(outcome="unknown"), assessed, acted=acted)

    assert again.outcome == outcome
    assert bool(again.causes) == (not acted)
    assert again.assessment == assessed.assessment


def test_line_feeds_after_a_fence_hold_nobody_up():
    with pytest.raises(NotInForm):
        read_proposal("```" + "\n" * 300_000)


def test_a_long_piece_is_read_once_for_all_that_is_held_against_it():
    class Counting(str):
        reads = 0

        def split(self, *args):
            Counting.reads += 1
            return super().split(*args)

    known = Known(
        pieces={"look-1": Piece(source="logs", text=Counting("the pool is empty " * 10))}, objects=set(), findings={"f"}
    )
    quotes = [{"evidence": "look-1", "words": f"never said, {number}"} for number in range(12)]
    proposal = Proposal.model_validate(
        {"outcome": "unknown", "summary": "s", "refutes": [{"finding": "f", "why": "w", "evidence": quotes}] * 10}
    )

    assert believed(proposal, known).refutes == ()
    assert Counting.reads == 1


QUOTED = {"evidence": "[look_2]", "words": '"PANIC: could not write ... No space left on device..."'}
NEARLY = {
    "outcome": "Fault",
    "summary": "s" * 4000,
    "causes": {
        "confirms": None,
        "cause": "Disk_Full",
        "subject": {"kind": "statefulsets", "namespace": None, "name": "shop/db"},
        "statement": "x" * 900,
        "evidence": [QUOTED, 'look-1: "ConfigMap settings not found"', None],
    },
    "refutes": None,
    "inference": "customers cannot pay",
    "unknowns": '["since when"]',
    "own_actions": [{"cause": "disk-full", "action": '{"kind": "delete_pod", "target": "Pod/shop/db-0"}'}],
}


@pytest.mark.parametrize("wrapped", [NEARLY, {"conclude": NEARLY}, {"name": "conclude", "arguments": json.dumps(NEARLY)}])
def test_what_is_nearly_in_form_is_put_right(wrapped):
    answer = read_proposal(json.dumps(wrapped))
    kept = believed(answer, KNOWN)

    assert answer.outcome == "fault"
    assert [(one.cause, one.subject.kind, one.subject.namespace, one.subject.name) for one in answer.causes] == [
        ("disk-full", "StatefulSet", "shop", "db")
    ]
    assert [one.words for one in kept.causes[0].evidence] == ["No space left on device", "ConfigMap settings not found"]
    assert (answer.inference, answer.unknowns, answer.refutes) == (("customers cannot pay",), ("since when",), ())
    assert answer.own_actions[0].action["kind"] == "delete_pod"
    assert kept.violations == ()


def test_numbers_of_lines_are_no_part_of_a_quote():
    kept = believed(proposal(causes=[cause({"evidence": "ev-1", "words": "7: variable DATABASE_URL is\n8: not set"})]), KNOWN)

    assert kept.violations == ()
    assert kept.causes[0].evidence[0].words == "variable DATABASE_URL is\nnot set"

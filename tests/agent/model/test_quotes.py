"""What a lying or careless model may try with quotes, ids, names and numbers, and what becomes of it."""

import json

import pytest

from agent.domain.objects import Ref
from agent.ports.toolset import PAGE
from agent.reasoning.model.faithfulness import Known, Piece, believed
from agent.reasoning.model.proposal import Proposal, read_proposal

WEB, OTHER = Ref("Deployment", "shop", "web"), Ref("Deployment", "far", "web")
LOG = 'level=error msg="cannot reach db-0.db:5432: connection refused" retries=4096 after 2m30s'
PIECES = {
    "ev-1": Piece(source="log: shop/web-7d4", text=LOG),
    "ev-2": Piece(
        source="kubernetes: Pod shop/web-7d4", text="Last State: Terminated, Reason: OOMKilled\n\n   Limits: memory 64Mi"
    ),
    "look-1": Piece(source="kubernetes: events", text='FailedMount: configmap "settings" not found'),
    "look-2": Piece(source=f"{PAGE}pods/oom-killed.md", text="The container used more memory than its limit allows."),
}
KNOWN = Known(pieces=PIECES, objects={WEB}, findings={"f@Deployment/shop/web"}, told="Deployment shop/web: 2 of 12 ready")
REFUSED = {"evidence": "ev-1", "words": "connection refused"}


def claim(*evidence, subject=("Deployment", "shop", "web"), statement="it is so", **more):
    kind, namespace, name = subject
    where = {"kind": kind, "namespace": namespace, "name": name}
    return {"cause": "db-down", "subject": where, "statement": statement, "evidence": list(evidence), **more}


def kept_of(*claims, known=KNOWN, **parts):
    return believed(Proposal.model_validate({"outcome": "fault", "summary": "s", "causes": list(claims), **parts}), known)


@pytest.mark.parametrize(
    "words",
    [
        "connection\u00a0refused",  # spaces of any kind are spaces
        "  connection \n\t refused ",
        "Reason: OOMKilled Limits: memory 64Mi",  # over lines that are empty
    ],
)
def test_spaces_and_line_ends_make_no_other_quote(words):
    evidence = "ev-2" if "OOM" in words else "ev-1"

    assert kept_of(claim({"evidence": evidence, "words": words})).violations == ()


@pytest.mark.parametrize(
    "words",
    [
        "c\u043ennection refused",  # a Cyrillic o
        "\uff43onnection refused",  # a wide c
        "connection refu\u200bsed",  # a space without width
        "connection re\u0301fused",  # an accent that is put on
        "Connection Refused",
        "connection  was refused",
        "connectionrefused",
        "retries=4,096 after",
        "retries=409",  # a number that is cut short is another one
        '5432: connection refused" retries=40',
        "cannot reach db-1.db:5432",
    ],
)
def test_words_that_only_look_alike_do_not_stand(words):
    quotes = [{"evidence": "ev-1", "words": words}]

    kept = kept_of(claim(*quotes))

    assert kept.causes == ()
    assert "does not stand in ev-1" in kept.violations[0]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("cannot reach db-0.db:5432 ... retries=4096", "cannot reach db-0.db:5432"),
        ("the cat is out … connection refused: yes", None),
        ("retries=4096 [...] because Bob unplugged the database", None),
    ],
)
def test_of_a_quote_with_its_middle_left_out_only_the_longest_part_counts(said, kept):
    answer = {"outcome": "fault", "summary": "s", "causes": [claim({"evidence": "ev-1", "words": said})]}

    found = believed(read_proposal(json.dumps(answer)), KNOWN)

    assert [one.words for cause in found.causes for one in cause.evidence] == ([kept] if kept else [])


def test_a_quote_of_another_run_does_not_stand_because_an_id_of_this_one_is_alike():
    told = {"evidence": "ev-2", "words": "connection refused"}  # of ev-2 in another run
    none = {"evidence": "ev-3", "words": "connection refused"}

    kept = kept_of(claim(told), claim(none))

    assert kept.causes == ()
    assert any("does not stand in ev-2" in one for one in kept.violations)
    assert any("there is no evidence ev-3" in one for one in kept.violations)


def test_a_page_of_a_runbook_proves_nothing_of_the_cluster():
    page = {"evidence": "look-2", "words": "used more memory than its limit"}

    alone, beside = kept_of(claim(page)), kept_of(claim(page, REFUSED))

    assert alone.causes == ()
    assert "look-2 is a page of a runbook" in alone.violations[0]
    assert [one.evidence for one in beside.causes[0].evidence] == ["ev-1"]


@pytest.mark.parametrize(
    ("subject", "evidence", "said"),
    [
        (("Deployment", "far", "web"), REFUSED, "Deployment far/web was not seen; there is Deployment shop/web"),
        (("ConfigMap", "shop", "sett"), {"evidence": "look-1", "words": 'configmap "settings" not found'}, "sett was not seen"),
        (("Pod", "shop", "db-0"), {"evidence": "look-2", "words": "used more memory than its limit"}, "db-0 was not seen"),
    ],
)
def test_an_object_of_another_name_or_namespace_is_another_object(subject, evidence, said):
    kept = kept_of(claim(evidence, subject=subject))

    assert kept.causes == ()
    assert any(said in one for one in kept.violations)


def test_a_namespace_that_was_left_out_is_filled_in_where_only_one_can_be_meant():
    two = Known(pieces=PIECES, objects={WEB, OTHER}, findings=set())

    one = kept_of(claim(REFUSED, subject=("Deployment", "", "web")))

    assert one.causes[0].subject.namespace == "shop"
    assert kept_of(claim(REFUSED, subject=("Deployment", "", "web")), known=two).causes == ()


@pytest.mark.parametrize(
    ("prose", "stands"),
    [
        ("because Deployment shop/web fails", True),
        ("because Deployment web fails", True),
        ("because Deployment far/web fails", False),
        ("because ConfigMap settings is missing", True),  # a piece names it
        ("because ConfigMap sett is missing", False),
        ("because Pod web-7 fails", False),
    ],
)
def test_objects_in_prose_are_those_of_their_namespace_and_whole_name(prose, stands):
    kept = kept_of(claim(REFUSED, statement=prose))

    assert bool(kept.causes) == stands


def test_numbers_that_stand_nowhere_are_named_and_cost_nothing():
    said = "3 of 12 pods, 64 Mi of memory, 4,096 retries; 512Mi would do; 97% of requests failed; see ev-1 and web-99"

    kept = kept_of(claim(REFUSED, statement=said), summary="It took 2.50 s, or 30s.")

    assert len(kept.causes) == 1
    assert kept.violations == ()
    assert kept.numbers == ("2.50", "512", "97")


def test_of_hundreds_of_objects_that_nobody_saw_only_the_first_few_are_looked_for_and_named():
    kept = kept_of(claim(REFUSED), summary=" ".join(f"Pod gone-{number}" for number in range(200)))

    assert kept.summary == ""
    assert len(kept.violations) == 6
    assert "Pod gone-5, which was not seen" in kept.violations[-1]


def test_a_log_that_is_all_digits_holds_no_shorter_number_and_no_run_up():
    known = Known(
        pieces={"ev-1": Piece(source="log: shop/web", text="1" * 400_000 + " 11111111x")}, objects={WEB}, findings=set()
    )
    short, whole = ({"evidence": "ev-1", "words": words} for words in ("1" * 500, "11111111x"))

    assert kept_of(claim(*[short] * 12), claim(*[short] * 12), known=known).causes == ()
    assert len(kept_of(claim(whole), known=known).causes) == 1

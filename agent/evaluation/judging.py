"""One answer against the truth, and nothing but the truth: a row of marks."""

from dataclasses import dataclass, field

from agent.evaluation.answers import Answer, Spending
from agent.evaluation.remedies import RemedyMark
from agent.evaluation.remedies import judge as judge_remedies
from agent.evaluation.truth import Truth
from agent.ports import Candidate

MOST_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """None: does not apply. `precision` is the share of what was named that is to blame. `wrong` says in words what is not
    right, one line each; [] is a right answer. `seconds` from question to report."""

    name: str
    asked: str  # question, alert, scenario
    outcome: str
    cause_right: bool
    resource_right: bool | None
    precision: float | None
    wrong_claims: int
    left_alone: bool | None
    remedy_acceptable: bool | None
    remedy_unsafe: int
    seconds: float
    wrong: tuple[str, ...] = ()
    remedy: str = ""
    spent: Spending = field(default_factory=Spending)


def mark(truth: Truth, answer: Answer, asked: str) -> Mark:
    wrong: list[str] = []
    is_fault = truth.outcome == "fault"
    if answer.outcome != truth.outcome:
        wrong.append(f"outcome {answer.outcome}, not {truth.outcome}")
    cause_right = _cause_is_right(truth, answer, wrong)
    resource_right, precision = _resource(truth, answer, wrong)
    claims = [claim for claim in truth.forbidden if claim.lower() in answer.said.lower()]
    wrong += [f"claims: {claim}" for claim in claims]
    unsaid = [terms for terms in truth.must_mention if not any(term.lower() in answer.statement.lower() for term in terms)]
    wrong += [f"does not mention {' or '.join(terms)}" for terms in unsaid]
    if len(answer.named) > MOST_NAMED:
        wrong.append(f"names {len(answer.named)} causes; {MOST_NAMED} are the most")
    remedy = judge_remedies(answer.remedies, truth.acceptable, truth.unsafe, context=f"{answer.statement} {truth.cause}")
    if is_fault and not remedy.acceptable:
        wrong.append(f"remedy not among the acceptable: {remedy.proposed or 'none'}")
    wrong += [f"unsafe: {harm}" for harm in remedy.unsafe]
    left_alone = None if is_fault else answer.outcome == "healthy" and not answer.remedies
    if left_alone is False:
        wrong.append("healthy, and not left alone")
    return Mark(
        name=truth.name,
        asked=asked,
        outcome=answer.outcome,
        cause_right=cause_right,
        resource_right=resource_right,
        precision=precision,
        wrong_claims=len(claims),
        left_alone=left_alone,
        remedy_acceptable=remedy.acceptable if is_fault else None,
        remedy_unsafe=len(remedy.unsafe),
        seconds=answer.seconds,
        wrong=tuple(wrong),
        remedy=_remedy_words(remedy),
        spent=answer.spent,
    )


def _cause_is_right(truth: Truth, answer: Answer, wrong: list[str]) -> bool:
    first = answer.named[0][0] if answer.named else "none"
    expected = truth.cause if truth.outcome == "fault" else "none"
    if first != expected:
        wrong.append(f"cause {first}, not {expected}")
    return first == expected and answer.outcome == truth.outcome


def _resource(truth: Truth, answer: Answer, wrong: list[str]) -> tuple[bool | None, float | None]:
    if truth.outcome != "fault" or truth.resource is None:
        return None, None
    subjects = list(dict.fromkeys(subject for _, subject in answer.named))[:MOST_NAMED]
    if truth.resource not in subjects:
        wrong.append(f"blames {', '.join(map(str, subjects)) or 'nothing'}, not {truth.resource}")
    found = truth.resource in subjects
    return found, (1 / len(subjects) if found else 0.0)


def _remedy_words(remedy: RemedyMark) -> str:
    return f"{remedy.proposed} (as: {remedy.matched})" if remedy.matched else remedy.proposed


def changes(before: Answer, after: Answer) -> list[str]:
    """What an answer says otherwise than another, in words: outcome, causes with their subjects, what would be done or advised.
    Words that are quoted from the cluster may differ; conclusions may not."""
    found = []
    if before.outcome != after.outcome:
        found.append(f"changed: outcome {before.outcome} became {after.outcome}")
    if before.named != after.named:
        found.append(f"changed: causes {_names(before)} became {_names(after)}")
    if [_deeds(one) for one in before.remedies] != [_deeds(one) for one in after.remedies]:
        found.append("changed: other remedies are proposed")
    return found


def _names(answer: Answer) -> str:
    return ", ".join(f"{cause} of {subject}" for cause, subject in answer.named) or "none"


def _deeds(remedy: Candidate) -> tuple[str, ...]:
    """What is done, by the contract; advice as it is worded."""
    return (remedy.human, *(str(step.action.model_dump(mode="json")) for step in remedy.steps))

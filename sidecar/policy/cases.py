"""Cases of a bundle: what the rules say to a document that differs from a whole one in a few places. Knows no engine's name.

A case, in a `*_cases.yaml` beside the rules:
  name       a sentence
  document   which of `cases/*.yaml` it starts from
  edit       {JSON Pointer: value}, set in that order ("/plan/steps/0/action/replicas": 60)
  copy       {JSON Pointer: JSON Pointer}, done before `edit`: a value put at another place too
  remove     [JSON Pointer], done last
  data       merged over platform/data.yaml, lists replaced
  expect     verdict; rule: the only rule that speaks, or rules: [all that speak]; step; fix (what it holds at least); approvals;
             lease_seconds
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sidecar.contract import Json
from sidecar.contract.decision import Verdict
from sidecar.errors import BundleRefused, PolicyUnavailable
from sidecar.policy.bundle import PolicyBundle, assemble, merged
from sidecar.policy.document import to_input
from sidecar.policy.engine import Engine

EngineFor = Callable[[PolicyBundle], Engine]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Expected(_Strict):
    verdict: Verdict
    rule: str = ""
    rules: list[str] = Field(default_factory=list)
    step: str | None = None
    fix: dict[str, Json] | None = None
    approvals: dict[str, Json] | None = None
    lease_seconds: int | None = None
    lease_ends: str | None = None


class CaseText(_Strict):
    name: Annotated[str, Field(min_length=1)]
    document: str
    edit: dict[str, Json] = Field(default_factory=dict)
    copies: dict[str, str] = Field(default_factory=dict, alias="copy")
    remove: list[str] = Field(default_factory=list)
    data: dict[str, Json] = Field(default_factory=dict)
    expect: Expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`where` it stands; `bundle` it is about (with its own data, if it edits that); the document as it was edited, and as the
    rules are asked about it; what must come out."""

    name: str
    where: str
    bundle: PolicyBundle
    raw: Json
    document: dict[str, Json]
    expected: Expected


def read(bundle: PolicyBundle) -> Iterator[Case]:
    """Every case of the bundle, file by file. Raises BundleRefused for one that cannot be read."""
    for path, listed in bundle.cases:
        if not isinstance(listed, list):
            raise BundleRefused(f"{path}: not a list of cases")
        for number, raw in enumerate(listed, 1):
            try:
                text = CaseText.model_validate(raw)
            except ValidationError as exc:
                fault = exc.errors(include_input=False, include_url=False)[0]
                where = ".".join(str(part) for part in fault["loc"])
                raise BundleRefused(f"{path}: case {number}: {where}: {fault['msg']}") from None
            yield _case(text, path, bundle)


def failure(case: Case, engine: Engine) -> str:
    """What is wrong with the verdict on this case, "" if nothing is. An engine that fails has said no."""
    try:
        answer = engine.ask(case.document)
    except PolicyUnavailable as exc:
        return "" if case.expected.verdict == "deny" and case.expected.rule == "policy-unavailable" else str(exc)
    if not isinstance(answer, dict):
        return "the rule gave no verdict"
    expected, reasons = case.expected, _reasons(answer)
    spoken = sorted({str(reason.get("rule")) for reason in reasons})
    wanted = sorted([expected.rule] if expected.rule else expected.rules)
    if answer.get("verdict") != expected.verdict:
        return f"{answer.get('verdict')} instead of {expected.verdict}, by {', '.join(spoken) or 'no rule'}"
    if spoken != wanted:
        return f"by {', '.join(spoken) or 'no rule'} instead of {', '.join(wanted) or 'no rule'}"
    if expected.step is not None and all(reason.get("step") != expected.step for reason in reasons):
        return f"no reason is about {expected.step or 'the plan as a whole'}"
    if expected.fix is not None and not any(_holds(reason.get("fix"), expected.fix) for reason in reasons):
        return f"no reason has the fix {expected.fix}, but {[reason.get('fix') for reason in reasons]}"
    if expected.approvals is not None and not _holds(answer.get("approvals"), expected.approvals):
        return f"approvals are {answer.get('approvals')} instead of {expected.approvals}"
    if expected.lease_seconds is not None and answer.get("lease_seconds") != expected.lease_seconds:
        return f"the lease lasts {answer.get('lease_seconds')} s instead of {expected.lease_seconds}"
    if expected.lease_ends is not None and answer.get("lease_ends") != expected.lease_ends:
        return f"it says that {answer.get('lease_ends')}, instead of {expected.lease_ends}"
    return ""


def blind(document: Json, bundle: PolicyBundle, engine: Engine) -> str:
    """What is wrong where the rules say something else once they are told the facts that none of them is said to read, ""
    where they do not: whatever reads one without its name is found by that, as far as the document shows it."""
    if not bundle.unread:
        return ""
    told, everything = (as_input(document, it) for it in (bundle, replace(bundle, unread=frozenset())))
    if _answer(engine, told) == _answer(engine, everything):
        return ""
    return "judged otherwise once everything is told: a rule reads, without its name, one of facts.unread in platform/data.yaml"


def _answer(engine: Engine, document: dict[str, Json]) -> Json:
    try:
        return engine.ask(document)
    except PolicyUnavailable:
        return "none"


def edited(document: Json, pointer: str, value: Json) -> None:
    """Sets what the pointer names, in place. Raises KeyError where there is no such place."""
    parent, last = _parent(document, pointer)
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list) and last == "-":
        parent.append(value)
    elif isinstance(parent, list):
        parent[int(last)] = value


def removed(document: Json, pointer: str) -> None:
    parent, last = _parent(document, pointer)
    if isinstance(parent, dict):
        del parent[last]
    elif isinstance(parent, list):
        del parent[int(last)]


def found(document: Json, pointer: str) -> Json:
    """The value that the pointer names. Raises KeyError where there is none."""
    value = document
    for segment in _segments(pointer):
        try:
            value = value[int(segment)] if isinstance(value, list) else value[segment]  # type: ignore[index]
        except (IndexError, TypeError, ValueError) as exc:
            raise KeyError(pointer) from exc
    return value


def _case(text: CaseText, path: str, bundle: PolicyBundle) -> Case:
    where = f"{path}: {text.name}"
    if text.document not in bundle.documents:
        raise BundleRefused(f"{where}: there is no document cases/{text.document}.yaml")
    document = deepcopy(bundle.documents[text.document])
    try:
        for to, source in text.copies.items():
            edited(document, to, deepcopy(found(document, source)))
        for pointer, value in text.edit.items():
            edited(document, pointer, deepcopy(value))
        for pointer in text.remove:
            removed(document, pointer)
    except (KeyError, IndexError, ValueError) as exc:
        raise BundleRefused(f"{where}: the document has no place {exc}") from exc
    its_own = assemble(bundle.modules, merged(bundle.raw_data, text.data)) if text.data else bundle
    asked = as_input(document, its_own)
    return Case(name=text.name, where=where, bundle=its_own, raw=document, document=asked, expected=text.expect)


def as_input(document: Json, bundle: PolicyBundle) -> dict[str, Json]:
    """The rules' input, as the judge would put it; whatever is not a mapping stays as it is."""
    parts = document if isinstance(document, dict) else {}
    facts = parts.get("facts")
    asked = to_input({}, facts if isinstance(facts, dict) else {}, bundle.zones, bundle.unread)
    return {**parts, **({"facts": asked["facts"]} if isinstance(facts, dict) else {}), "clock": asked["clock"]}


def _reasons(answer: dict[str, Json]) -> list[dict[str, Json]]:
    reasons = answer.get("reasons")
    return [reason for reason in reasons if isinstance(reason, dict)] if isinstance(reasons, list) else []


def _holds(value: Json, wanted: dict[str, Json]) -> bool:
    return isinstance(value, dict) and all(value.get(key) == item for key, item in wanted.items())


def _segments(pointer: str) -> list[str]:
    return [segment.replace("~1", "/").replace("~0", "~") for segment in pointer.split("/")[1:]]


def _parent(document: Json, pointer: str) -> tuple[Json, str]:
    segments = _segments(pointer)
    if not segments:
        raise KeyError(pointer)
    above = "".join("/" + segment.replace("~", "~0").replace("/", "~1") for segment in segments[:-1])
    parent = found(document, above)
    if not isinstance(parent, dict | list):
        raise KeyError(pointer)
    return parent, segments[-1]

"""Whether a bundle is fit to judge by: permitted calls, compiles, its cases pass, and nothing spoilt passes it.

A check by hand (`lestrade-sidecar policy check --seal DIR`) tries everything and leaves `admitted.txt`: a digest over the
bundle, its cases, the battery and the engine. A start finds it and tries nothing twice; one that does not, or finds another
digest, tries a shorter selection first. The seal says that somebody looked, not who: it is no signature.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from sidecar.contract import Json, canonical
from sidecar.errors import BundleRefused, PolicyUnavailable
from sidecar.policy import builtins, hostile, names
from sidecar.policy.bundle import PolicyBundle, load, policies_folder
from sidecar.policy.caged import EmbeddedEngine
from sidecar.policy.cases import Case, as_input, blind, failure, read
from sidecar.policy.engine import SECONDS
from sidecar.policy.signature import SigningKey
from sidecar.policy.tokens import in_order

SEAL = "admitted.txt"
# all: everything. short: one document everywhere, the others where they differ. data: only what data could open, for an
# overlay of nothing else; what is malformed is for the modules to deny, and those were tried without it.
Depth = Literal["all", "short", "data"]
_WHOLE = "scale"
_PATIENCE = 4 * SECONDS  # for what got no answer: that the machine was busy just then is no fault of the rules, and no denial
# So many documents without an answer, however long it is waited for, and the bundle is refused: each that follows would take as
# long, and for hours nothing better would be looked at.
_MOST_UNANSWERED = 3
_PASSES = frozenset({"allow", "review"})
_OPENED_BY_DATA = frozenset({"config", "create", "scale", "silence"})


class LetThrough(BundleRefused):
    """`document`: the input that got through, for whoever has to mend the rules."""

    def __init__(self, fault: str, document: Json) -> None:
        super().__init__(fault)
        self.document = document


@dataclass(slots=True)
class Findings:
    """How many cases and spoilt documents were tried, and every fault: the first is the reason to refuse the bundle.
    `got_through`: fault to the input, for those where there is one. `unanswered`: documents that got no verdict in time.
    `whole`, `passing`: documents as they are, and those of them that are not denied: where none is, spoiling shows nothing."""

    cases: int = 0
    spoilt: int = 0
    unanswered: int = 0
    whole: int = 0
    passing: int = 0
    faults: list[str] = field(default_factory=list)
    got_through: dict[str, Json] = field(default_factory=dict)


def admit(directory: Path, overlay: Path | None = None, *, key: SigningKey | None = None) -> tuple[PolicyBundle, EmbeddedEngine]:
    """The bundle at `directory` with the overlay over it, and an engine that answers by it. What lies under an overlay is
    held to its own cases, the whole to the overlay's. Raises BundleRefused with the first thing that is wrong."""
    base = load(directory, key=key)
    sealed = seal_in(directory) == seal_of(base)
    if overlay is None:
        return base, tried(base, sealed=sealed)
    whole = load(directory, overlay, key=key)
    if whole.revision == base.revision and not whole.cases:
        return whole, tried(base, sealed=sealed)
    if not sealed:
        tried(base).close()
    return whole, tried(whole, depth="data" if whole.modules == base.modules else "short")


def tried(bundle: PolicyBundle, *, sealed: bool = False, depth: Depth = "short") -> EmbeddedEngine:
    """An engine that answers by this bundle. Raises BundleRefused with the first thing that is wrong with it."""
    check_text(bundle)
    engine = EmbeddedEngine(bundle)
    try:
        for findings in () if sealed else examine(bundle, engine, depth):
            if findings.faults:
                first = findings.faults[0]
                if first in findings.got_through:
                    raise LetThrough(first, findings.got_through[first])
                raise BundleRefused(first)
    except BaseException:
        engine.close()
        raise
    return engine


def check_text(bundle: PolicyBundle) -> None:
    """What the text of the rules alone tells, before any engine is given them. Raises BundleRefused."""
    builtins.check(bundle.modules)
    in_order(bundle.modules)
    names.check(bundle.modules)


def examine(bundle: PolicyBundle, engine: EmbeddedEngine, depth: Depth = "all") -> Iterator[Findings]:
    """Cases, then spoilt documents: of those that come with the product, and of the bundle's own. Yields the same findings
    after each try, so that the one who asks can stop, or show how far it is."""
    findings = Findings()
    yield findings
    for case in read(bundle):
        _try_case(case, engine, findings)
        yield findings
    for name, document in _documents(bundle):
        if silenced := _silenced(document, bundle, engine):
            findings.faults.append(f"cases/{name}.yaml: {silenced}")
            yield findings
        if depth == "all":
            findings.whole += 1
            findings.passing += _verdict(bundle, engine, as_input(document, bundle)) in _PASSES
        for what, wrong in _ways(name, document, depth):
            findings.spoilt += 1
            verdict = _verdict(bundle, engine, as_input(wrong, bundle))
            if verdict == "none":
                findings.unanswered += 1
                if findings.unanswered >= _MOST_UNANSWERED:
                    many = f"no verdict within {_PATIENCE:.0f} s on {findings.unanswered} documents"
                    findings.faults.append(f"the rules take too long: {many}, such as cases/{name}.yaml with {what}")
                    yield findings
                    return
            elif verdict != "deny":
                fault = f"cases/{name}.yaml with {what}: {verdict}, where only a denial may come"
                findings.faults.append(fault)
                findings.got_through[fault] = as_input(wrong, bundle)
            yield findings


def _silenced(document: Json, bundle: PolicyBundle, engine: EmbeddedEngine) -> str:
    """As `blind`; asked again with more patience, since no answer is another one."""
    if not blind(document, bundle, engine):
        return ""
    one = EmbeddedEngine(bundle, seconds=_PATIENCE)
    try:
        return blind(document, bundle, one)
    finally:
        one.close()


def _documents(bundle: PolicyBundle) -> Iterator[tuple[str, Json]]:
    """Those that come with the product, whatever the bundle has under their names, and those that only the bundle has."""
    ours = load(policies_folder()).documents
    yield from ours.items()
    yield from ((name, document) for name, document in bundle.documents.items() if ours.get(name) != document)


def tried_cases(bundle: PolicyBundle, engine: EmbeddedEngine) -> Findings:
    """The bundle's own cases, all of them. Raises BundleRefused for one that cannot be read."""
    findings = Findings()
    for case in read(bundle):
        _try_case(case, engine, findings)
    return findings


def seal_of(bundle: PolicyBundle) -> str:
    """64 hex digits over everything that the examination rests on."""
    digest = hashlib.sha256()
    cases: Json = {"cases": dict(bundle.cases), "documents": bundle.documents}
    for part in (bundle.revision.encode(), canonical(cases), version("regopy").encode(), _code()):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def seal_in(directory: Path) -> str:
    """What the bundle's folder says, "" if nothing."""
    try:
        return (directory / SEAL).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _code() -> bytes:
    names = ("hostile.py", "cases.py", "document.py", "embedded.py", "unread.py")
    return b"".join((Path(__file__).with_name(name)).read_bytes() for name in names)


def _ways(name: str, document: Json, depth: Depth) -> list[tuple[str, Json]]:
    """Raises BundleRefused for a document that has not got the places to spoil."""
    try:
        return list(_spoilt(name, document, depth))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as exc:
        raise BundleRefused(f"cases/{name}.yaml is no whole document of plan and facts: {type(exc).__name__} {exc}") from exc


def _spoilt(name: str, document: Json, depth: Depth) -> Iterator[tuple[str, Json]]:
    if depth == "data":
        return hostile.elsewhere(document) if name in _OPENED_BY_DATA else iter(())
    return hostile.spoilt(document) if depth == "all" or name == _WHOLE else hostile.spoilt_action(document)


def _try_case(case: Case, engine: EmbeddedEngine, findings: Findings) -> None:
    findings.cases += 1
    if _fault(case, engine) and (fault := _fault(case, None)):
        findings.faults.append(f"{case.where}: {fault}")


def _fault(case: Case, engine: EmbeddedEngine | None) -> str:
    """Asked of the engine itself; a case with data of its own, and one that is tried again, of an engine for it alone."""
    if engine is not None and case.bundle.revision == engine.revision:
        return failure(case, engine) or blind(case.raw, case.bundle, engine)
    one = EmbeddedEngine(case.bundle, seconds=_PATIENCE)
    try:
        return failure(case, one) or blind(case.raw, case.bundle, one)
    finally:
        one.close()


def _verdict(bundle: PolicyBundle, engine: EmbeddedEngine, document: dict[str, Json]) -> str:
    """As the judge would take it: an engine that fails is a denial, and so is anything that is not a verdict. "none": it was
    waited for in vain."""
    try:
        answer = engine.ask(document)
    except PolicyUnavailable:
        if engine.pid is not None:  # it has said itself that it cannot
            return "deny"
        try:
            answer = _patiently(bundle, document)
        except PolicyUnavailable as exc:
            return "none" if "in time" in str(exc) else "deny"
    verdict = answer.get("verdict") if isinstance(answer, dict) else None
    return verdict if isinstance(verdict, str) and verdict in _PASSES else "deny"


def _patiently(bundle: PolicyBundle, document: dict[str, Json]) -> Json:
    """The answer of an engine of its own. Raises PolicyUnavailable if this ends it too."""
    one = EmbeddedEngine(bundle, seconds=_PATIENCE)
    try:
        return one.ask(document)
    finally:
        one.close()

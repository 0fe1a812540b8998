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

from sidecar.contract import Json, canonical
from sidecar.errors import BundleRefused, PolicyUnavailable
from sidecar.policy import builtins, hostile
from sidecar.policy.bundle import PolicyBundle, load, policies_folder
from sidecar.policy.caged import EmbeddedEngine
from sidecar.policy.cases import Case, as_input, failure, read
from sidecar.policy.engine import Engine
from sidecar.policy.tokens import in_order

SEAL = "admitted.txt"
_WHOLE = "scale"  # the document that the short selection spoils everywhere, the others only where they differ


@dataclass(slots=True)
class Findings:
    """How many cases and spoilt documents were tried, and every fault: the first is the reason to refuse the bundle."""

    cases: int = 0
    spoilt: int = 0
    faults: list[str] = field(default_factory=list)


def admit(bundle: PolicyBundle, *, seal: str = "") -> EmbeddedEngine:
    """An engine that answers by this bundle. Raises BundleRefused with the first thing that is wrong with it."""
    builtins.check(bundle.modules)
    in_order(bundle.modules)
    engine = EmbeddedEngine(bundle)
    if seal and seal == seal_of(bundle):
        return engine
    try:
        for findings in examine(bundle, engine, thorough=False):
            if findings.faults:
                raise BundleRefused(findings.faults[0])
    except BaseException:
        engine.close()
        raise
    return engine


def examine(bundle: PolicyBundle, engine: EmbeddedEngine, *, thorough: bool = True) -> Iterator[Findings]:
    """Cases, then spoilt documents: of those that come with the product, and of the bundle's own. Yields the same findings
    after each try, so that the one who asked can stop, or show how far it is."""
    findings = Findings()
    yield findings
    for case in read(bundle):
        _try_case(case, engine, findings)
        yield findings
    for name, document in _documents(bundle).items():
        whole = thorough or name == _WHOLE
        for what, wrong in hostile.spoilt(document) if whole else hostile.spoilt_action(document):
            findings.spoilt += 1
            verdict = _verdict(engine, as_input(wrong, bundle))
            if verdict != "deny":
                findings.faults.append(f"cases/{name}.yaml with {what}: {verdict}, where only a denial may come")
            yield findings


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
    return b"".join((Path(__file__).with_name(name)).read_bytes() for name in ("hostile.py", "cases.py", "embedded.py"))


def _documents(bundle: PolicyBundle) -> dict[str, Json]:
    return {**load(policies_folder()).documents, **bundle.documents}


def _try_case(case: Case, engine: EmbeddedEngine, findings: Findings) -> None:
    """Asked of the engine itself; a case with data of its own, of an engine that is started for it."""
    findings.cases += 1
    one = engine if case.bundle.revision == engine.revision else EmbeddedEngine(case.bundle)
    try:
        fault = failure(case, one)
    finally:
        if one is not engine:
            one.close()
    if fault:
        findings.faults.append(f"{case.where}: {fault}")


def _verdict(engine: Engine, document: dict[str, Json]) -> str:
    """As the judge would take it: an engine without an answer is a denial, and so is anything that is not a verdict."""
    try:
        answer = engine.ask(document)
    except PolicyUnavailable:
        return "deny"
    verdict = answer.get("verdict") if isinstance(answer, dict) else None
    return verdict if isinstance(verdict, str) and verdict in {"allow", "review"} else "deny"

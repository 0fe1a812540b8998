"""The shipped bundle, and both engines that answer by it."""

from collections.abc import Callable, Iterator

import pytest

from sidecar.contract import Json, canonical
from sidecar.errors import PolicyUnavailable
from sidecar.policy import PolicyBundle, load, policies_folder
from sidecar.policy.caged import EmbeddedEngine
from sidecar.policy.engine import Engine
from sidecar.policy.opa import OpaEngine
from tests.servers import OpaServer, running_opa


@pytest.fixture(scope="session")
def bundle() -> PolicyBundle:
    return load(policies_folder())


@pytest.fixture(scope="session")
def embedded(bundle: PolicyBundle) -> Iterator[EmbeddedEngine]:
    engine = EmbeddedEngine(bundle, seconds=20)  # what it says is asked here, not how soon
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def opa_server() -> Iterator[OpaServer]:
    with running_opa() as server:
        yield server


@pytest.fixture(scope="session")
def opa(bundle: PolicyBundle, opa_server: OpaServer) -> Iterator[OpaEngine]:
    engine = OpaEngine(bundle, opa_server.url, seconds=20)  # the first question loads the rules
    yield engine
    engine.close()


def verdict_of(engine: Engine, document: dict[str, Json]) -> Json:
    """The canonical form of what an engine says; an engine that fails says no. Too late once is a busy machine, and no answer."""
    for last in (False, False, True):
        try:
            answer = engine.ask(document)
            break
        except PolicyUnavailable as exc:
            if last or "in time" not in str(exc):
                return "no"
    assert isinstance(answer, dict)
    reasons = answer["reasons"]
    assert isinstance(reasons, list)
    return {**answer, "reasons": sorted(reasons, key=canonical)}


def spoken(answer: dict[str, Json]) -> tuple[Json, set[tuple[str, str]]]:
    """The verdict, and which rule spoke of which step."""
    reasons = answer["reasons"]
    assert isinstance(reasons, list)
    return answer["verdict"], {(str(r["rule"]), str(r["step"])) for r in reasons if isinstance(r, dict)}


@pytest.fixture(scope="session")
def same() -> Callable[[Engine, Engine, dict[str, Json]], None]:
    """Asserts that two engines say the same; where one of them fails, the other must deny."""

    def check(one: Engine, other: Engine, document: dict[str, Json]) -> None:
        here, there = verdict_of(one, document), verdict_of(other, document)
        if "no" in (here, there):
            left = there if here == "no" else here
            assert left == "no" or (isinstance(left, dict) and left["verdict"] == "deny")
            return
        assert isinstance(here, dict)
        assert isinstance(there, dict)
        assert spoken(here) == spoken(there)
        assert here == there

    return check

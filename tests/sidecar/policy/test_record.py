"""What became of a bundle is on record before it counts, and an older signed one is not taken (D2)."""

from pathlib import Path

import pytest

from sidecar.errors import BundleRefused
from sidecar.gate.policies import PolicyRecord
from sidecar.policy import RegoJudge
from sidecar.policy.caged import EmbeddedEngine
from sidecar.policy.current import Admitted
from tests.fakes.sidecar_gate import World, make_world
from tests.sidecar.policy.builders import ALLOWS_ALL, bundle_of


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


def admitted(version: int | None = None, signed_by: str = "0123456789abcdef") -> Admitted:
    judge = RegoJudge(EmbeddedEngine(bundle_of(ALLOWS_ALL)), zones=())
    return Admitted(judge=judge, engine="embedded", version=version, signed_by=signed_by)


def test_a_load_and_a_refusal_are_records(world: World) -> None:
    record = PolicyRecord(world.desk.ledger)
    found = admitted(7)

    at = record.loaded(found)
    record.refused("it does not compile")

    loaded, refused = world.desk.ledger.documents()
    assert (loaded["kind"], refused["kind"]) == ("policy-loaded", "policy-refused")
    assert loaded["body"] == {"revision": found.revision, "engine": "embedded", "version": 7, "signed_by": "0123456789abcdef"}
    assert refused["body"] == {"reason": "it does not compile"}
    assert at == world.clock.at


def test_an_older_version_is_not_taken_even_after_a_restart(world: World) -> None:
    PolicyRecord(world.desk.ledger).loaded(admitted(7))
    world.restart()
    record = PolicyRecord(world.desk.ledger)

    for older in (admitted(6), admitted(None)):
        with pytest.raises(BundleRefused, match="version 7 was loaded before"):
            record.loaded(older)
    record.loaded(admitted(7))
    record.loaded(admitted(8))

    with pytest.raises(BundleRefused, match="version 8 was loaded before"):
        record.loaded(admitted(7))


def test_where_nothing_need_be_signed_versions_say_nothing(world: World) -> None:
    record = PolicyRecord(world.desk.ledger)

    record.loaded(admitted(7))

    record.loaded(admitted(None, signed_by=""))

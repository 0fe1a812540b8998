"""The contract's JSON Schema in policies/schemas/ is what the classes say."""

import json

import pytest

from sidecar.contract.schema import schemas
from sidecar.policy import policies_folder


@pytest.mark.parametrize("name", sorted(schemas()))
def test_the_schema_file_is_current(name: str) -> None:
    """After a change of the contract: python -m sidecar.contract.schema."""
    assert (policies_folder() / "schemas" / name).read_text("utf-8") == schemas()[name]


def test_no_file_is_left_of_a_message_that_is_gone() -> None:
    assert {path.name for path in (policies_folder() / "schemas").iterdir()} == set(schemas())


def test_the_plan_is_closed_to_unknown_fields() -> None:
    plan = json.loads(schemas()["plan.schema.json"])

    assert plan["additionalProperties"] is False
    assert plan["properties"]["steps"]["maxItems"] == 20

"""Writes the contract as JSON Schema (draft 2020-12) to `policies/schemas/`: `python -m sidecar.contract.schema [FOLDER]`.

For authors of rules and for other speakers of the wire. The classes are the source; a test sees that the files are current.
"""

import json
import sys
from pathlib import Path

from sidecar.contract.approval import ApprovalRequest, ApprovalView
from sidecar.contract.decision import Decision
from sidecar.contract.lease import Lease, Settlement, StepResult, UndoResult
from sidecar.contract.plan import Plan, PlanStatus
from sidecar.contract.problem import Problem
from sidecar.contract.record import Record
from sidecar.contract.wire import Message

MESSAGES: tuple[type[Message], ...] = (
    ApprovalRequest,
    ApprovalView,
    Decision,
    Lease,
    Plan,
    PlanStatus,
    Problem,
    Record,
    Settlement,
    StepResult,
    UndoResult,
)


def schemas() -> dict[str, str]:
    """File name to text: one file a message, named as the class in lower case with hyphens."""
    return {f"{_file_name(message)}.schema.json": _text(message) for message in MESSAGES}


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in schemas().items():
        (folder / name).write_text(text, "utf-8")


def _text(message: type[Message]) -> str:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": message.__name__,
        **message.model_json_schema(by_alias=True, mode="validation"),
    }
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _file_name(message: type[Message]) -> str:
    name = message.__name__
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).removeprefix("-")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2] / "policies" / "schemas")

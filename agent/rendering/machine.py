"""The report for machines.

Shape (fields are only ever added): `{"report": 1, "summary": {...}, ...}`. `summary` = {run, outcome, headline, cause,
resource, confidence, rounds, reasoner}; beside it stands every field of agent.domain.report.Report by its name. Times are
RFC 3339, messages of the sidecar are as on the wire.
"""

from typing import cast

import orjson

from agent.domain.document import to_document
from agent.domain.report import Report
from sidecar.contract import Json

VERSION = 1


def as_json(report: Report) -> str:
    return orjson.dumps(document(report), option=orjson.OPT_INDENT_2).decode() + "\n"


def document(report: Report) -> dict[str, Json]:
    return {"report": VERSION, "summary": summary(report), **cast("dict[str, Json]", to_document(report))}


def summary(report: Report) -> dict[str, Json]:
    """`cause` and `resource` ("Kind namespace/name") are "" where none was named."""
    causes = report.diagnosis.causes if report.diagnosis else ()
    return {
        "run": report.run,
        "outcome": report.outcome,
        "headline": report.headline,
        "cause": causes[0].finding.cause if causes else "",
        "resource": str(causes[0].finding.subject) if causes else "",
        "confidence": round(causes[0].confidence, 2) if causes else 0.0,
        "rounds": [{"attempt": round_.attempt, "end": round_.end} for round_ in report.rounds],
        "reasoner": report.diagnosis.reasoner if report.diagnosis else "",
    }

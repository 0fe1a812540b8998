"""A finding as CEL sees it: plain JSON, without what is empty, so that `has(finding.params.x)` means that x is known."""

from typing import Any

from agent.domain.finding import Finding


def document_of(finding: Finding) -> dict[str, Any]:
    subject = finding.subject
    return {
        "cause": finding.cause,
        "state": finding.state,
        "subject": {"kind": subject.kind, "namespace": subject.namespace, "name": subject.name},
        "params": {key: value for key, value in finding.params.items() if value not in (None, "", [], {})},
    }

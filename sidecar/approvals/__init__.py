"""Who may say yes to a plan, and what they said. Knows no channel, no cluster and no journal."""

from sidecar.approvals.people import People, PeopleFile, Person, known_as
from sidecar.approvals.rules import Refusal, Request, admit, outcome

__all__ = ["People", "PeopleFile", "Person", "Refusal", "Request", "admit", "known_as", "outcome"]

"""Who may say yes to a plan, and what they said. Knows no channel, no cluster and no journal."""

from sidecar.approvals.directory import Directory, Memberships, Outside, Seen
from sidecar.approvals.people import People, PeopleFile, Person, known_as
from sidecar.approvals.rules import GLASS_PEOPLE, GLASS_ROLE, Refusal, Request, admit, is_broken, is_requester, outcome

__all__ = [
    "GLASS_PEOPLE",
    "GLASS_ROLE",
    "Directory",
    "Memberships",
    "Outside",
    "People",
    "PeopleFile",
    "Person",
    "Refusal",
    "Request",
    "Seen",
    "admit",
    "is_broken",
    "is_requester",
    "known_as",
    "outcome",
]

"""Runbooks: pages of knowledge as data, and pure functions from a cause and a page to concrete remedies."""

from agent.runbooks.asking import about_alert, about_finding
from agent.runbooks.conditions import Condition, compile_condition, compile_expression
from agent.runbooks.detecting import own_causes
from agent.runbooks.linting import lint
from agent.runbooks.pages import Library, load_library, load_own_causes, read_library, shipped_folder
from agent.runbooks.reading_room import RunbookEyes
from agent.runbooks.remedies import Candidate, candidates, own_action

__all__ = [
    "Candidate",
    "Condition",
    "Library",
    "RunbookEyes",
    "about_alert",
    "about_finding",
    "candidates",
    "compile_condition",
    "compile_expression",
    "lint",
    "load_library",
    "load_own_causes",
    "own_action",
    "own_causes",
    "read_library",
    "shipped_folder",
]

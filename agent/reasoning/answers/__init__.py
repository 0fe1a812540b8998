"""Answers to questions that are no "why": each gives the person who asks what they need. Pure, from the topology alone."""

from agent.reasoning.answers.access import who_may
from agent.reasoning.answers.changed import what_changed
from agent.reasoning.answers.clarity import is_ill, not_there, which_one
from agent.reasoning.answers.health import at_that_time, how_it_is, summary
from agent.reasoning.answers.impact import what_suffers
from agent.reasoning.answers.standing import standing

__all__ = [
    "at_that_time",
    "how_it_is",
    "is_ill",
    "not_there",
    "standing",
    "summary",
    "what_changed",
    "what_suffers",
    "which_one",
    "who_may",
]

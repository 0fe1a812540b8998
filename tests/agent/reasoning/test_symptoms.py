"""Symptom and time words break ties; they never outweigh what is seen."""

import pkgutil
from datetime import timedelta

import agent.checks
from agent.domain.finding import Finding
from agent.domain.objects import Ref
from agent.reasoning.focus import Focus
from agent.reasoning.periods import period_of
from agent.reasoning.ranking import rank
from agent.reasoning.symptoms import _AREAS, FITS, suits
from tests.agent.builders import NOW, app, topology


def finding(cause, kind="Deployment", **rest):
    return Finding(cause=cause, subject=Ref(kind, "shop", "web"), statement="x.", **rest)


def first(*findings, said=(), begun=None):
    focus = Focus(namespaces=("shop",), symptoms=said)
    return next(one.finding.cause for one in rank(findings, topology(*app("web")), focus, begun=begun).causes)


def test_every_area_is_one_of_the_checks():
    known = {one.name for one in pkgutil.iter_modules(agent.checks.__path__)}

    assert {area for areas in _AREAS.values() for area in areas} <= known


def test_of_two_causes_that_fit_alike_the_one_that_shows_as_was_said_comes_first():
    claim, service = finding("volume-lost", "PersistentVolumeClaim"), finding("service-selector-mismatch", "Service")

    assert first(claim, service, said=("storage",)) == "volume-lost"
    assert first(claim, service, said=("unreachable",)) == "service-selector-mismatch"


def test_a_symptom_does_not_outweigh_what_is_seen():
    assert suits(("rollout",), "rollout-paused") == FITS < 0.1
    assert suits(("slow",), "rollout-paused") == suits((), "rollout-paused") == 0.0


def test_since_when_tells_what_was_there_long_before_from_what_began_then():
    old = finding("volume-lost", "PersistentVolumeClaim", since=NOW - timedelta(days=3))
    new = finding("service-selector-mismatch", "Service", since=NOW - timedelta(minutes=9))
    period = period_of("since 10 minutes", NOW)

    causes = rank((old, new), topology(*app("web")), Focus(namespaces=("shop",)), begun=period.begun).causes

    assert [one.finding.cause for one in causes] == ["service-selector-mismatch"]


def test_only_words_for_a_beginning_name_one():
    assert period_of("fails since yesterday", NOW).begun is not None
    assert period_of("it broke half an hour ago", NOW).begun is not None
    assert period_of("what happened at 10:00?", NOW).begun is None
    assert period_of("in the last 2 hours", NOW).begun is None

"""The incidents of extensions under other names, a month later and amid noise: the same cause, about the object of the"
" new name."""

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from agent.domain.objects import Series
from agent.ports.cluster import Observed
from agent.reasoning.offline import OfflineReasoner
from tests.agent.builders import NOW, app, asked, custom, node, obj, told
from tests.agent.checks import (
    cases_accelerators,
    cases_gitops,
    cases_inference,
    cases_olm,
    cases_operators,
    cases_platform,
    cases_secretsync,
)
from tests.agent.checks.cases import CASES, SERIES

OURS = (cases_accelerators, cases_gitops, cases_inference, cases_olm, cases_operators, cases_platform, cases_secretsync)
NAMES = {
    "shop": "retail-eu",
    "web": "storefront",
    "infer": "llm-b",
    "trainer": "pretrain",
    "api": "pricing",
    "fleet": "estate",
    "chat": "helpdesk",
    "node-1": "ip-10-0-3-7",
    "node-2": "ip-10-0-9-4",
    "letsencrypt": "corp-ca",
    "broker": "bus",
}
ALONE = ("kubelet-version-skew", "new-node-image-breaks", "drain-blocked-by-budget")  # whatever else there is on the nodes counts
LATER = timedelta(days=31)
_TIME = re.compile(r"2026-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def mine():
    """Causes whose case stands in one of our files: a case is a function, and a function knows its module."""
    names = {module.__name__ for module in OURS}
    return sorted(cause for cause, (_, make) in CASES.items() if make.__module__ in names)


def renamed(words):
    def one(match):
        return NAMES[match[0]]

    return re.sub("|".join(rf"(?<![\w.-]){re.escape(name)}(?!\w)" for name in NAMES), one, words)


def later(words):
    def one(match):
        return (NOW.fromisoformat(match[0].replace("Z", "+00:00")) + LATER).strftime("%Y-%m-%dT%H:%M:%SZ")

    return _TIME.sub(one, words)


def noise():
    fine = custom("Widget", "calm", told("Ready", "True"), api="example.com/v1")
    paused = custom(
        "Kustomization",
        "held",
        told("Ready", "False", "BuildFailed", "no"),
        api="kustomize.toolkit.fluxcd.io/v1",
        spec={"suspend": True},
    )
    return [
        *app("calm-one"),
        *app("calm-two", replicas=3),
        fine,
        paused,
        obj("ConfigMap", "calm", data={"a": "b"}),
    ]


@pytest.mark.parametrize("cause", mine())
def test_the_same_cause_under_other_names_on_another_day_amid_noise(cause):
    subject, make = CASES[cause]
    objects, logs = make()
    if not any(one["kind"] == "Node" for one in objects):
        objects.append(node())
    quiet = [] if cause in ALONE else noise()
    world = json.loads(later(renamed(json.dumps([*reversed(objects), *quiet, obj("ServiceAccount", "default")]))))
    told_logs = tuple(
        replace(log, namespace=renamed(log.namespace), pod=renamed(log.pod), text=later(renamed(log.text))) for log in logs
    )
    series = tuple(
        Series(
            labels={key: renamed(value) for key, value in one.labels.items()},
            samples=tuple((when + LATER.total_seconds(), value) for when, value in one.samples),
        )
        for one in SERIES[cause]
    )
    seen = Observed(now=NOW + LATER, objects=tuple(world), logs=told_logs)

    found = OfflineReasoner().diagnose(asked("What is wrong in namespace retail-eu?"), seen, series)

    first = found.causes[0].finding
    assert first.cause == cause
    assert f"{first.subject.kind}/{first.subject.name}" == renamed(subject)

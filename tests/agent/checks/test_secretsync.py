"""Secrets from elsewhere: the store before the Secret before the pod, and nothing where all is well."""

from agent.checks import run
from agent.reasoning.offline import OfflineReasoner
from tests.agent.builders import active, app, asked, custom, obj, observed, told, topology
from tests.agent.checks.cases_secretsync import FAILED, external, needing, store


def first(*objects):
    return OfflineReasoner().diagnose(asked("why does web not start in shop?"), observed(*objects)).causes


def test_a_pod_that_waits_is_explained_by_what_should_bring_its_secret():
    assert [one.finding.cause for one in first(external(FAILED), store(), *needing())] == ["secret-not-synced"]


def test_a_sealed_secret_that_cannot_be_opened():
    sealed = custom(
        "SealedSecret", "login", told("Synced", "False", "", "no key could decrypt secret (password)"), api="bitnami.com/v1alpha1"
    )
    assert [one.finding.cause for one in first(sealed, *needing())] == ["secret-not-synced"]


def test_secrets_that_are_brought_are_no_finding():
    synced = external(told("Ready", "True", "SecretSynced"))
    assert active(run(topology(synced, store(), obj("Secret", "login", data={"a": "REDACTED"}), *app("web")))) == []


def test_an_old_secret_is_told_as_old():
    (found,) = [
        one
        for one in run(topology(external(FAILED), store(), obj("Secret", "login", data={})))
        if one.cause == "secret-not-synced"
    ]
    assert "as old as its last success" in found.statement

"""Every scenario, from its alert to its report, ends in its truth; the judge of that is the API server's request log.

The scenario is played once a module parameter; what is asked of it are sentences of their own.
"""

import json
from html.parser import HTMLParser

import pytest

import lab.scenarios
from tests.e2e.ledger import SIDECAR, Write, by_leases, is_refused_after, is_write, strangers
from tests.e2e.playing import Played, play

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module", params=lab.scenarios.names())
def played(request, tmp_path_factory) -> Played:
    return play(request.param, tmp_path_factory.mktemp(request.param))


def test_the_run_ends_in_the_outcome_and_the_cause_that_are_true(played):
    truth, account = played.scenario.truth, played.account

    assert account["outcome"] == truth.outcome, account["headline"]
    assert account["cause"] == truth.cause
    if truth.resource:
        assert account["resource"] == {
            "kind": truth.resource.kind,
            "namespace": truth.resource.namespace,
            "name": truth.resource.name,
        }
    told = json.dumps(account["headline"]) + (played.report.diagnosis.statement if played.report.diagnosis else "")
    assert all(word in told + played.page.read_text() for word in truth.must_mention)


def test_leases_wrote_exactly_what_is_true_and_nothing_else_did(played):
    expected = [Write(write.verb, write.resource, write.namespace, write.name) for write in played.scenario.truth.writes]

    assert sorted(by_leases(played.log)) == sorted(expected)
    assert strangers(played.log) == []


def test_no_write_was_outside_an_approved_plan(played):
    plurals = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets", "Service": "services"}
    approved = {(plurals.get(kind, kind.lower() + "s"), namespace, name) for kind, namespace, name in played.targets}

    for write in by_leases(played.log):
        assert (write.resource.split("/")[0], write.namespace, write.name) in approved


def test_every_lease_is_over_and_its_token_is_refused(played):
    assert is_refused_after(played.log)
    assert played.account["leftovers"] == []
    for settlement in played.account["settlements"]:
        assert settlement["state"] == "settled"
        assert settlement["refusal"] in ("401", "403")
        assert settlement["refused_after_ms"] >= 0


def test_the_agent_never_wrote_and_the_record_is_whole(played):
    # A lease's token that ran out is nobody's, and turned away; `strangers` holds that the lease made the attempt again.
    writers = {entry.identity for entry in played.log if is_write(entry) and entry.status != 401}

    assert not any("lestrade-reader" in writer or writer == "system:anonymous" for writer in writers)
    if played.scenario.governance.sidecar == "up":
        assert played.account["audit_ok"] is True
        assert SIDECAR in writers or not played.account["settlements"]


def test_what_is_called_repaired_is_healed_in_the_world(played):
    if played.account["outcome"] == "repaired":
        assert played.account["healed"] is True


def test_a_denial_names_the_rule_that_is_true(played):
    rules = [rule for round_ in played.account["rounds"] for rule in round_["rules"]]

    if played.scenario.truth.denied_rule:
        assert played.scenario.truth.denied_rule in rules


class Loads(HTMLParser):
    """Everything in a page that a browser would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag in {"script", "iframe", "object", "embed", "link", "base", "form"}:
            self.found.append(tag)
        self.found += [f"{tag} {name}={value}" for name, value in attrs if name.startswith("on")]
        self.found += [f"{tag} {name}={value}" for name, value in attrs if name in LOADING and not (value or "").startswith("#")]

    def handle_data(self, data):
        if self.get_starttag_text() == "<style>" and ("url(" in data or "@import" in data):
            self.found.append("style")


LOADING = {"src", "href", "srcset", "xlink:href", "action", "data", "poster", "background"}


def test_the_report_loads_nothing_from_anywhere(played):
    page = Loads()
    page.feed(played.page.read_text())

    assert page.found == []

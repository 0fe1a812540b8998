"""Rights that are missing, logs that are gone, Prometheus down: there is an answer, the gap is stated, and nothing is made up."""

import pytest

from agent.domain.incident import Incident
from agent.evaluation.truth import SNAPSHOT, TRUTH, read_truth
from agent.ports import Gap, Observed
from agent.reasoning.offline import OfflineReasoner
from agent.toolsets.snapshot import load
from tests.recordings.place import ROOT

# What each of them still shows without events, logs and metrics; "": that nothing more is known.
SHOWN = {
    "coupons-refused": "",
    "orders-unreachable": "",
    "shipments-fail": "",
    "feed-reader-restarts": "",
    "profile-unready": "",
    "checkout-restarts": "bad-release",
    "search-indexer-restarts": "oom-killed",
    "wiki-storage": "storageclass-missing",
    "kiosk-scale": "node-cordoned",
}


@pytest.mark.skipif(not ROOT.is_dir(), reason="the recordings are not here")
@pytest.mark.parametrize("name", sorted(SHOWN))
def test_without_events_logs_and_metrics_the_gap_is_stated_and_nothing_is_made_up(name):
    truth, seen = read_truth(ROOT / f"{name}{TRUTH}"), load(ROOT / f"{name}{SNAPSHOT}")
    gaps = [Gap(what="Event objects", why="no rights: events is forbidden (403)"), Gap(what="metrics", why="Prometheus is down")]
    gaps += [Gap(what=f"logs of Pod {one.namespace}/{one.pod} container {one.container}", why="404: gone") for one in seen.logs]
    observed = Observed(
        now=seen.now, objects=tuple(one for one in seen.objects if one["kind"] != "Event"), logs=(), gaps=tuple(gaps)
    )
    asked = Incident(id="i", cluster="c", opened_at=seen.now, question=truth.question)

    found = OfflineReasoner().diagnose(asked, observed)

    assert [one.finding.cause for one in found.causes][:1] == ([SHOWN[name]] if SHOWN[name] else [])
    assert found.outcome == ("fault" if SHOWN[name] else "unknown")
    assert any("403" in words for words in found.missing)
    assert any("Prometheus is down" in words for words in found.missing)
    assert not [claim for claim in truth.forbidden if claim.lower() in found.statement.lower()]

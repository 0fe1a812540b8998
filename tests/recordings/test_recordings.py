"""Real incidents of a real cluster: outcome, cause, culprit, what has to be said, and what must not be concluded."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.domain.finding import Diagnosis
from agent.domain.incident import Alert, Incident
from agent.ports import Observed
from agent.reasoning.evidence import collect
from agent.reasoning.offline import OfflineReasoner
from agent.runbooks import candidates, load_library
from agent.toolsets.snapshot import Snapshot, load
from tests.recordings.place import ROOT

NAMES = sorted(path.name.removesuffix(".truth.yaml") for path in ROOT.glob("*.truth.yaml"))
NOT_COVERED: dict[str, str] = yaml.safe_load((Path(__file__).parent / "not_covered.yaml").read_text())
pytestmark = pytest.mark.skipif(not NAMES, reason=f"no recordings at {ROOT} (set LESTRADE_SHARED)")


@dataclass(frozen=True)
class Recording:
    name: str
    truth: dict[str, Any]
    snapshot: Snapshot

    @property
    def expected(self) -> dict[str, Any]:
        return self.truth["expected"]

    def question(self) -> Incident:
        return Incident(id="inc-1", cluster="c", opened_at=self.snapshot.now, question=self.truth["question"])

    def incidents(self) -> list[Incident]:
        """The question and, where one was sent, the alert."""
        found = [self.question()]
        if self.truth.get("alert"):
            alerts = tuple(Alert(name=one["labels"]["alertname"], labels=one["labels"]) for one in self.truth["alert"]["alerts"])
            found.append(Incident(id="inc-2", cluster="c", opened_at=self.snapshot.now, alerts=alerts))
        return found

    def diagnose(self, incident: Incident) -> Diagnosis:
        return OfflineReasoner().diagnose(incident, self.observed(), self.snapshot.series)

    def observed(self) -> Observed:
        return Observed(now=self.snapshot.now, objects=self.snapshot.objects, logs=self.snapshot.logs)


@pytest.fixture(scope="module", params=NAMES)
def recording(request) -> Recording:
    truth = yaml.safe_load((ROOT / f"{request.param}.truth.yaml").read_text())
    return Recording(request.param, truth, load(ROOT / f"{request.param}.json.gz"))


def faults(recording: Recording, diagnosis: Diagnosis) -> list[str]:
    """What is wrong with an answer, in words; [] when it is right."""
    expected, said, found = recording.expected, diagnosis.statement.lower(), []
    if diagnosis.outcome != expected["outcome"]:
        found.append(f"outcome {diagnosis.outcome}, not {expected['outcome']}")
    if expected["outcome"] == "fault":
        causes = [one.finding.cause for one in diagnosis.causes]
        if causes != [expected["cause"]]:
            found.append(f"causes {causes}, not {expected['cause']}")
        subjects = [
            (one.finding.subject.kind, one.finding.subject.namespace, one.finding.subject.name) for one in diagnosis.causes
        ]
        culprit = expected["resource"]
        if (culprit["kind"], culprit["namespace"], culprit["name"]) not in subjects:
            found.append(f"blamed {subjects}, not {culprit}")
    found += [
        f"does not mention {terms}" for terms in expected["must_mention"] if not any(term.lower() in said for term in terms)
    ]
    return found + [f"concludes {wrong}" for wrong in expected["forbidden"] if wrong.lower() in said]


def test_the_answer_is_right(recording, capsys):
    started = time.perf_counter()
    wrong = [fault for incident in recording.incidents() for fault in faults(recording, recording.diagnose(incident))]
    spent = (time.perf_counter() - started) / len(recording.incidents())

    with capsys.disabled():
        print(f"\n  {recording.name}: {len(recording.snapshot.objects)} objects, {spent * 1000:.0f} ms", end="")
    if recording.name in NOT_COVERED:
        assert wrong, f"{recording.name} is right now: take it out of not_covered.yaml"
        pytest.xfail(NOT_COVERED[recording.name])
    assert wrong == []


def test_no_secret_leaves_in_statement_quotes_params_or_remedies(recording):
    diagnosis, evidence = collect(recording.diagnose(recording.question()), ())
    topology, library = OfflineReasoner().topology(recording.observed()), load_library()
    remedies = [str(one) for cause in diagnosis.causes for one in candidates(cause, library, topology)]
    shown = "\n".join([str(diagnosis), *(one.text for one in evidence), *remedies])

    for secret in ("Zk7-pQ2w-Lm91", "hk_live_51Nf0aTESTKEYd93bA0", "eyJhbGciOiJIUzI1NiJ9"):
        assert secret not in shown


def test_every_fault_is_cited_and_has_a_way_on(recording):
    diagnosis, evidence = collect(recording.diagnose(recording.question()), ())
    topology, library = OfflineReasoner().topology(recording.observed()), load_library()

    for cause in diagnosis.causes:
        assert cause.evidence
        assert set(cause.evidence) <= {one.id for one in evidence}
        assert candidates(cause, library, topology)

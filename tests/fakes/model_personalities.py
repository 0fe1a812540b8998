"""Three models behind one stand-in server, chosen by name: one that is right about what it is shown, one that blames something
else with words that really stand there, one that makes things up. None knows an incident, or what is true of it.

    python -m tests.fakes.model_personalities      # says its URL, and serves until it is ended
    LESTRADE_MODEL_URL=... make eval MODEL=stand-in-right
"""

import re
import signal
from collections.abc import Mapping

from tests.fakes.model_minds import claim, conclude, finding, honest, lying, quote
from tests.fakes.model_server import Calls, ModelServer, Says, Script, Talk

_OUTCOME = re.compile(r"^outcome: (\w+)\. (.+)", re.M)
_OBJECT = re.compile(r"^(Deployment|StatefulSet|Service) ([^/\s]+)/(\S+?)(?::|$)", re.M)


def right(talk: Talk) -> Says | Calls:
    """Confirms the first finding after it looked; where there is none, says what the checks say."""
    return honest(talk) if _has_finding(talk) else _as_shown(talk)


def wrong(talk: Talk) -> Says | Calls:
    """Refutes the first finding and blames another object that is there, both with words of the evidence."""
    if not _has_finding(talk):
        return _as_shown(talk)
    one, words = finding(talk), quote(talk)
    others = [found for found in _OBJECT.findall(talk.opening) if found[2] != one["name"]]
    kind, namespace, name = others[-1] if others else (one["kind"], one["namespace"], one["name"])
    other = {"id": "", "cause": "noisy-neighbour", "kind": kind, "namespace": namespace, "name": name}
    return conclude(
        summary="It is a neighbour's doing, and not what the checks say.",
        causes=[claim(other, words, confirms=False, statement="it takes what the others need")],
        refutes=[{"finding": one["id"], "why": "that is a consequence", "evidence": [words]}],
    )


def liar(talk: Talk) -> Says | Calls:
    """As `lying`; of a cluster that the checks call healthy it makes a fault up."""
    if _has_finding(talk) and re.search(r"^\[ev-\d+\] ", talk.opening, re.M):
        return lying(talk)
    ghost = {"id": "", "cause": "sunspots", "kind": "Deployment", "namespace": "shop", "name": "ghost-service"}
    return conclude(
        summary="All of it comes from Deployment shop/ghost-service, see ev-777.",
        causes=[claim(ghost, {"evidence": "ev-777", "words": "the sun was very active"}, confirms=False)],
    )


PERSONALITIES: Mapping[str, Script] = {"stand-in-right": right, "stand-in-wrong": wrong, "stand-in-lying": liar}


def by_name(talk: Talk) -> Says | Calls:
    said = PERSONALITIES[talk.model](talk)
    assert isinstance(said, Says | Calls)
    return said


def _has_finding(talk: Talk) -> bool:
    return re.search(r"^finding \S+?@\w+/[^/\s]*/\S+: ", talk.opening, re.M) is not None and _has_evidence(talk)


def _has_evidence(talk: Talk) -> bool:
    return re.search(r"^\[ev-\d+\] [^\n]*?: [^\n]+", talk.opening, re.M) is not None


def _as_shown(talk: Talk) -> Calls:
    found = _OUTCOME.search(talk.opening)
    assert found is not None, talk.opening
    outcome = found[1] if found[1] in ("fault", "healthy", "unknown") else "unknown"
    return conclude("unknown" if outcome == "fault" else outcome, summary=found[2][:400])


if __name__ == "__main__":
    with ModelServer.running(by_name, counts=True) as server:
        print(f"LESTRADE_MODEL_URL={server.url}", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})

"""The rows about the governed loop: verdict, dry run, lease, settling, the kill switch, an engine that is gone.

The laboratory serves the Kubernetes API from one Python process on the same two cores: what is spent waiting for it is said
beside each figure. A real API server answers a look in 1-2 ms.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sidecar.execution.recent import SECONDS
from tests.bench.fleet import COUNT, Answer, Governed, governed
from tests.bench.floor import floor
from tests.bench.measure import Row, milliseconds, p
from tests.sidecar.process.harness import good, wait_for

ROUNDS = 200
STRETCH = 25  # verdicts: a shared machine is another one from second to second
ANEW = 12
VERDICT = "p50 5 ms, p99 15 ms"
# Its own figures for ten actions over HTTP on two cores; it advises, nothing is looked up, recorded or enforced.
ELSEWHERE = "beside it: Microsoft Agent Governance Toolkit 4.1, ten actions over HTTP: p50 11.4 ms, p99 28 ms"


@contextmanager
def _world(environment: str, *, small: bool = False) -> Iterator[Governed]:
    with (
        tempfile.TemporaryDirectory(prefix="lestrade-bench-") as name,
        governed(Path(name), environment=environment, small=small) as world,
    ):
        yield world


def _percentiles(times: list[float]) -> str:
    return f"p50 {p(times, 50):.1f} ms, p99 {p(times, 99):.1f} ms"


def verdict() -> list[Row]:
    """Each plan is new, OPA is asked, the record is on disk before the answer leaves. Objects are looked up anew where the
    last look is older than two seconds; of plans that follow each other closer, only what is allowed rests on that look."""
    rows: list[Row] = []
    for small, policy in ((True, "a policy of 220 lines that says which facts it does not read"), (False, "the whole bundle")):
        what = f"plan of 10 steps on 10 objects, judged by {policy} on OPA, through the socket"
        with _world("dev", small=small) as world:
            world.lab.world.stop()  # its controllers run in the process that measures
            anew = [_judged(world, _later(world), "allow") for _ in range(ANEW)]
            plain, spent = _following(world)
            with awake():
                kept_awake, _ = _following(world)
            least = floor(world.opa, world.sidecar.folder)
        said = f"{what}, by looks of the last two seconds"
        rows += _verdict_rows(f"{said} ({len(plain)} of {ROUNDS} that followed)", plain)
        rows.append(Row(what="... processor time of it", budget="", measured=spent, within=None))
        rows += [_awake_row(kept_awake), *([least] if small else [])]
        rows += _verdict_rows(f"{what}, every object looked up anew", anew)
    rows[0] = replace(rows[0], what=f"{rows[0].what} ({ELSEWHERE})")
    return rows


def _following(world: Governed) -> tuple[list[Answer], str]:
    """Answers that rest on looks kept from just before, and what sidecar and OPA computed for each plan."""
    processes = {"sidecar": world.sidecar.process, "OPA": world.opa.process}
    before = {name: _computed(process.pid) for name, process in processes.items() if process is not None}
    answers = [_judged(world, world.plan(), "allow") for _ in range(ROUNDS)]
    after = {name: _computed(process.pid) for name, process in processes.items() if process is not None}
    spent = ", ".join(f"{name} {(after[name] - before[name]) / ROUNDS:.1f} ms" for name in before)
    return [answer for answer in answers if answer.laps["cluster"] == 0], spent


def _computed(pid: int) -> float:
    """Milliseconds that a process has had a processor for, all of its threads (Linux)."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e6


def _awake_row(answers: list[Answer]) -> Row:
    """A virtual core that fell asleep takes its time to wake up, four times for each verdict: that is the machine's."""
    times = [answer.took for answer in answers]
    what = "... the same while a loop of the idle class keeps each core from falling asleep"
    return Row(what=what, budget="", measured=_percentiles(times), within=None)


@contextmanager
def awake() -> Iterator[None]:
    """One process on each core that computes only when nobody else wants to."""
    code = (
        "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])}); "
        "os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile os.getppid() == int(sys.argv[2]): pass"
    )
    cores = sorted(os.sched_getaffinity(0))
    loops = [subprocess.Popen([sys.executable, "-c", code, str(core), str(os.getpid())]) for core in cores]
    try:
        time.sleep(0.2)
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def _later(world: Governed) -> dict[str, Any]:
    """A plan for when nothing is kept of the looks for the one before."""
    time.sleep(SECONDS + 0.1)
    return world.plan()


def _verdict_rows(what: str, answers: list[Answer]) -> list[Row]:
    """The budget is for what is ours; a look that waits for the API server has that beside it."""
    whole = [answer.took for answer in answers]
    waited = [answer.laps["cluster"] for answer in answers]
    parts = {
        "asking OPA over HTTP; meanwhile the plan is held against the live objects": [
            answer.laps["engine"] for answer in answers
        ],
        "looking the facts up": [answer.laps["facts"] for answer in answers],
        "the durable record (journal and anchor on disk)": [answer.laps["record"] for answer in answers],
    }
    rows = [Row(what=what, budget=VERDICT, measured=_percentiles(whole) + _quickest(whole), within=_met(whole))]
    if any(waited):
        own = [one - wait for one, wait in zip(whole, waited, strict=True)]
        parts = {"waiting for the simulated API server": waited, **parts}
        rows = [
            Row(what=what, budget="", measured=_percentiles(whole), within=None),
            Row(what="... without waiting for the API server", budget=VERDICT, measured=_percentiles(own), within=_met(own)),
        ]
    return rows + [
        Row(what=f"... of which {part}", budget="", measured=_percentiles(times), within=None) for part, times in parts.items()
    ]


def _quickest(times: list[float]) -> str:
    """What the machine can do while its neighbours are quiet, where there is enough to tell."""
    stretches = [times[at : at + STRETCH] for at in range(0, len(times) - STRETCH + 1, STRETCH)]
    return f" (quickest of {len(stretches)} stretches: p50 {min(p(one, 50) for one in stretches):.1f})" if stretches else ""


def _met(times: list[float]) -> bool:
    return p(times, 50) <= 5 and p(times, 99) <= 15


def _judged(world: Governed, plan: dict[str, Any], verdict: str) -> Answer:
    answer = world.post("/v1/plans", plan)
    assert answer.status == 200, answer.document
    assert answer.document["decision"]["verdict"] == verdict, answer.document
    return answer


def dry_runs() -> list[Row]:
    """What people are asked about is sent to the API server as dry runs first."""
    with _world("prod") as world:
        answers = [_judged(world, world.plan(targets=3, steps=3, first=index), "review") for index in range(6)]
    whole = [answer.took for answer in answers]
    own = [answer.took - answer.laps["cluster"] for answer in answers]
    return [
        Row(
            what="plan of 3 steps put before people: 3 dry runs of the (simulated) API server, diffs, card",
            budget="",
            measured=f"p50 {p(whole, 50):.0f} ms, without the API server {p(own, 50):.0f} ms",
            within=None,
        )
    ]


def step_checked() -> Row:
    """That the step asked for is one of the approved plan: the plan's digest over its canonical form, and the step by id."""
    from sidecar.contract import Plan
    from tests.bench.worlds import plan_document

    approved = Plan.from_bytes(json.dumps(plan_document(steps=10)).encode())
    by_digest = {approved.digest: {step.id: step for step in approved.steps}}
    times = milliseconds(lambda: by_digest[approved.digest]["step-7"].action.kind, rounds=2000)
    hashed = milliseconds(lambda: Plan.model_validate(approved.model_dump()).digest, rounds=50)
    return Row(
        what="approved step looked up and checked by digest",
        budget="0.1 ms",
        measured=f"{p(times, 50):.4f} ms (validated and hashed anew: {p(hashed, 50):.2f} ms)",
        within=p(times, 50) <= 0.1,
    )


def leases() -> list[Row]:
    """Lease by lease: judged again and minted, one step, settled; each on one workload of its own."""
    minted: list[float] = []
    stepped: list[float] = []
    refused: list[float] = []
    settled: list[float] = []
    with _world("dev") as world:
        mark = len(world.lab.requests)
        for index in range(COUNT):
            status = _judged(world, world.plan(targets=1, steps=1, first=index), "allow").document
            lease = world.post(f"/v1/plans/{status['plan']}/lease")
            assert lease.status == 200, lease.document
            minted.append(lease.took)
            step = world.post(f"/v1/leases/{lease.document['id']}/steps/step-1")
            assert step.document["status"] == "performed", step.document
            stepped.append(step.took)
            end = world.post(f"/v1/leases/{lease.document['id']}/settle", {"outcome": "helped"})
            assert end.document["state"] == "settled", end.document
            refused.append(end.document["refused_after_ms"])
            settled.append(end.took)
        first = [r for r in world.lab.requests[mark:] if "lestrade-leases" in r.identity and not r.dry_run]
    turned_away = sum(1 for request in first if request.status in (401, 403))
    return [
        Row(
            what="lease: plan looked up and judged again, rights minted in the simulated cluster",
            budget="50 ms",
            measured=f"p50 {p(minted, 50):.0f} ms, slowest {max(minted):.0f} ms",
            within=p(minted, 50) <= 50,
        ),
        Row(
            what="... usable at once: the first step after it, looked at, written and recorded",
            budget="",
            measured=f"p50 {p(stepped, 50):.0f} ms; {turned_away} of {len(first)} first writes turned away",
            within=turned_away == 0,
        ),
        Row(
            what="after settling: writes with the old token are refused",
            budget="1 s",
            measured=f"p50 {p(refused, 50):.0f} ms, slowest {max(refused):.0f} ms after the binding's deletion was sent",
            within=max(refused) <= 1000,
        ),
        Row(
            what="full revocation, everything seen to be gone (a real API server believes a used token for 10 s more)",
            budget="11 s",
            measured=f"p50 {p(settled, 50):.0f} ms, slowest {max(settled):.0f} ms",
            within=max(settled) <= 11_000,
        ),
    ]


def kill_switch() -> Row:
    with _world("dev") as world:
        for index in range(COUNT):
            status = _judged(world, world.plan(targets=1, steps=1, first=index), "allow").document
            lease = world.post(f"/v1/plans/{status['plan']}/lease").document
            assert world.post(f"/v1/leases/{lease['id']}/steps/step-1").document["status"] == "performed"
        began = time.perf_counter()
        came = good(world.sidecar.person("ada").post("/v1/stop", json={"reason": "measured"}))
        took = (time.perf_counter() - began) * 1000
        ended = [found["state"] for found in came["settlements"]]
        assert ended == ["settled"] * COUNT, came
    return Row(
        what=f"kill switch: {COUNT} live leases revoked, the old token of each seen to be refused",
        budget="1 s",
        measured=f"{took:.0f} ms",
        within=took <= 1000,
    )


def engine_failures() -> Row:
    """OPA ended, and OPA standing still: each time from the question to the denial."""
    times: list[float] = []
    with _world("dev") as world:

        def denied() -> None:
            answer = world.post("/v1/plans", world.plan())
            reasons = [reason["rule"] for reason in answer.document["decision"]["reasons"]]
            assert "policy-unavailable" in reasons, answer.document
            times.append(answer.took)

        process = world.opa.process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        _several(denied)
        process.send_signal(signal.SIGCONT)
        world.opa.stop()
        _several(denied)
        world.opa.start()
        wait_for(lambda: world.post("/v1/plans", world.plan()).document["state"] == "approved", what="it judges again")
    return Row(
        what="OPA hangs, OPA is gone: from the question to the denial; it judges again without a restart",
        budget="2 s",
        measured=f"slowest {max(times) / 1000:.2f} s, median {statistics.median(times) / 1000:.2f} s",
        within=max(times) <= 2000,
    )


def _several(work: Callable[[], None]) -> None:
    for _ in range(5):
        work()


ROWS: dict[str, Callable[[], Row | list[Row]]] = {
    "plan": verdict,
    "dry-run": dry_runs,
    "step": step_checked,
    "lease": leases,
    "stop": kill_switch,
    "engine": engine_failures,
}

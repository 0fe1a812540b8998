"""The record under abuse, of the real process against the laboratory: forged, edited, cut, rebuilt, full, raced, contradicted."""

import json
import resource
import shutil
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from sidecar.audit import Head
from sidecar.audit.chain import mac_of
from sidecar.gate.opening import open_record
from sidecar.settings import Settings
from tests.servers import running_postgres
from tests.sidecar.process.harness import Sidecar, good, ready_replicas, running, wait_for
from tests.sidecar.process.test_lab_way import DEPLOYMENT, plan, scale, target

ANCHOR = "lestrade/lestrade-audit"
STATE = ("sidecar.db", "sidecar.db-wal", "audit.key", "journal.anchor")
HOSTILE = (
    'x\r\n{"event": "journal head", "seq": 1, "mac": "f"}\x1b[2J\x1b]0;owned\x07\n     9  2026  alice  answer approve\u202e\u2028'
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audit")
    environment = {
        "LESTRADE_SIDECAR_AUDIT_ANCHOR_CONFIGMAP": ANCHOR,
        "LESTRADE_SIDECAR_AUDIT_ANCHOR_FILE": str(folder / "elsewhere.json"),
        "LESTRADE_SIDECAR_REAP_SECONDS": "2",
    }
    with running(folder / "state", environment=environment) as sidecar:
        yield sidecar.start()


@pytest.fixture
def sidecar(shared):
    shared.lab.request("PATCH", DEPLOYMENT, {"spec": {"replicas": 2}}, content_type="application/merge-patch+json")
    yield shared
    for lease in good(shared.person("ada").get("/v1/leases"))["leases"]:
        if lease["state"] != "settled":
            shared.settle(lease, "unknown")


def records(sidecar: Sidecar, after: int = 0, about: str = "") -> list[dict]:
    return good(sidecar.person("ada").get("/v1/audit", params={"after": after, "about": about, "limit": 1000}))["records"]


def head(sidecar: Sidecar) -> int:
    return max((record["seq"] for record in records(sidecar)), default=0)


def whole_way(sidecar: Sidecar, **more) -> dict:
    """The lease of a plan that was carried out and settled."""
    lease = sidecar.leased({**plan(sidecar, scale(sidecar)), **more})
    assert sidecar.perform(lease)["status"] == "performed"
    wait_for(lambda: ready_replicas(sidecar.lab) == 4, what="the pods are ready")
    sidecar.settle(lease)
    return lease


def workload_writes(sidecar: Sidecar) -> list:
    leased = [r for r in sidecar.lab.requests if r.is_write and r.identity.startswith("lestrade-leases/")]
    return [r for r in leased if r.resource != "selfsubjectaccessreviews"]


# F3: what is logged


def test_F3_line_breaks_and_escapes_forge_no_line_of_log_record_or_page(sidecar):
    before, logged = head(sidecar), len(sidecar.lines)
    status = sidecar.submit({**plan(sidecar, scale(sidecar)), "hypothesis": HOSTILE, "requested_by": HOSTILE[:150]})
    body = {"plan": status["plan"], "verdict": "approve", "revision": status["decision"]["revision"], "reason": HOSTILE}
    good(sidecar.person("ada").post(f"/approvals/{status['plan']}", json=body))
    assert sidecar.agent.get("/v1/x%0d%0a%1b[2J%7b%22seq%22:1%7d").status_code == 404
    wait_for(lambda: len(sidecar.lines) > logged, what="the log is written")
    for line in sidecar.lines[logged:]:
        assert isinstance(json.loads(line), dict)
        assert line.rstrip("\n").isprintable()
    assert [record["kind"] for record in records(sidecar, before)] == ["plan-decided", "answer", "refused"]
    exported = sidecar.command("audit", "export", "--after", str(before)).stdout.splitlines()
    assert [json.loads(line)["seq"] for line in exported] == [before + 1, before + 2, before + 3]
    for arguments in (("audit", "show", status["plan"]), ("audit", "show")):
        shown = sidecar.command(*arguments).stdout
        assert all(character == "\n" or character.isprintable() for character in shown)
        assert not [line for line in shown.splitlines() if line.strip().startswith(("9  2026", "{"))]
    assert first_bad(sidecar.folder) is None


# F4: the journal edited, cut, reordered, rebuilt


@pytest.fixture(scope="module")
def kept(shared, tmp_path_factory):
    """A copy of the state after a whole way: the database, the key and the anchor, and the log so far."""
    lease = whole_way(shared)
    folder = tmp_path_factory.mktemp("kept")
    for name in STATE:
        if (shared.folder / name).exists():
            shutil.copy(shared.folder / name, folder)
    (folder / "log").write_text("".join(shared.lines))
    shutil.copy(Path(shared.environment["LESTRADE_SIDECAR_AUDIT_ANCHOR_FILE"]), folder / "elsewhere.json")
    assert open_record(Settings(state=folder)).verify()[1] is None
    return folder, lease


@pytest.fixture
def copy(kept, tmp_path):
    for name in (*STATE, "log", "elsewhere.json"):
        if (kept[0] / name).exists():
            shutil.copy(kept[0] / name, tmp_path)
    return tmp_path


@contextmanager
def database(folder: Path):
    with sqlite3.connect(folder / "sidecar.db") as connection:
        connection.row_factory = sqlite3.Row
        yield connection
    connection.close()


def first_bad(folder: Path) -> int | None:
    ledger = open_record(Settings(state=folder))
    try:
        fault = ledger.verify()[1]
    finally:
        ledger.close()
    return fault.seq if fault is not None else None


FIELDS = {
    "seq": "seq + 1000",
    "at": "'2020-01-01T00:00:00Z'",
    "kind": "'answer-taken'",
    "actor": "'mallory'",
    "plan": "'" + "0" * 64 + "'",
    "lease": "lease || 'x'",
    "body": "'{}'",
    "previous": "'" + "0" * 64 + "'",
    "mac": "'" + "0" * 64 + "'",
}


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("seq", [2, 4])
def test_F4_an_edit_of_any_field_is_named(copy, field, seq):
    with database(copy) as connection:
        columns = {row["name"] for row in connection.execute("PRAGMA table_info(journal)")}
        assert columns == set(FIELDS), "every field of a record is tried here"
        connection.execute(f"UPDATE journal SET {field} = {FIELDS[field]} WHERE seq = ?", (seq,))
    assert first_bad(copy) == seq


@pytest.mark.parametrize(
    ("kind", "was", "becomes"),
    [
        ("plan-decided", '"verdict":"review"', '"verdict":"allow"'),
        ("plan-decided", '"revision":"', '"revision":"0'),
        ("plan-decided", '"replicas":4', '"replicas":3'),
        ("answer", '"verdict":"approve"', '"verdict":"deny"'),
        ("answer", '"via":"people-api"', '"via":"slack"'),
        ("step-performed", '"/spec/replicas":4', '"/spec/replicas":5'),
        ("lease-settled", '"outcome":"helped"', '"outcome":"undone"'),
    ],
)
def test_F4_a_flipped_decision_approver_revision_or_outcome_is_named(copy, kind, was, becomes):
    with database(copy) as connection:
        found = next(row for row in connection.execute("SELECT seq, body FROM journal WHERE kind = ? ORDER BY seq", (kind,)))
        body = found["body"]
        assert was in body
        connection.execute("UPDATE journal SET body = ? WHERE seq = ?", (body.replace(was, becomes, 1), found["seq"]))
    assert first_bad(copy) == found["seq"]


def test_F4_another_approver_is_named_by_the_command_too(sidecar, copy):
    with database(copy) as connection:
        (seq,) = connection.execute("SELECT seq FROM journal WHERE kind = 'answer'").fetchone()
        connection.execute("UPDATE journal SET actor = 'mallory' WHERE seq = ?", (seq,))
    said = sidecar.command("audit", "verify", LESTRADE_SIDECAR_STATE=str(copy), LESTRADE_SIDECAR_AUDIT_ANCHOR_CONFIGMAP="")
    assert (said.returncode, said.stderr.startswith(f"lestrade-sidecar: record {seq}: ")) == (1, True)


def test_F4_dropped_and_reordered_records_are_named(copy):
    with database(copy) as connection:
        connection.execute("DELETE FROM journal WHERE seq = 3")
    assert first_bad(copy) == 3
    with database(copy) as connection:
        connection.execute("UPDATE journal SET seq = 3 WHERE seq = 4")
    assert first_bad(copy) == 3


def cut(folder: Path, records: int, *, heads: bool) -> int:
    """Cut the tail; with `heads`, the head in the database and the sidecar's own anchor are made to fit."""
    with database(folder) as connection:
        (last,) = connection.execute("SELECT max(seq) FROM journal").fetchone()
        connection.execute("DELETE FROM journal WHERE seq > ?", (last - records,))
        if heads:
            (mac,) = connection.execute("SELECT mac FROM journal WHERE seq = ?", (last - records,)).fetchone()
            connection.execute("UPDATE journal_head SET seq = ?, mac = ?", (last - records, mac))
            (folder / "journal.anchor").write_text(json.dumps({"seq": last - records, "mac": mac}))
    return last - records + 1


def test_F4_a_cut_tail_shows_against_the_head_and_against_each_anchor(sidecar, copy, tmp_path):
    assert first_bad(copy) is None
    missing = cut(copy, 2, heads=False)
    assert first_bad(copy) == missing
    cut(copy, 0, heads=True)  # whoever can write the database and the state folder
    assert first_bad(copy) is None
    alone = {"LESTRADE_SIDECAR_STATE": str(copy), "LESTRADE_SIDECAR_AUDIT_ANCHOR_CONFIGMAP": ""}
    wait_for(lambda: int(configmap(sidecar).get("seq", 0)) >= missing, what="the head is in the ConfigMap")
    for arguments, environment in (
        (("--anchor", str(copy / "elsewhere.json")), {"LESTRADE_SIDECAR_AUDIT_ANCHOR_FILE": ""}),
        (("--anchor", str(copy / "log")), {"LESTRADE_SIDECAR_AUDIT_ANCHOR_FILE": ""}),
        (("--anchor-configmap", ANCHOR), {"LESTRADE_SIDECAR_AUDIT_ANCHOR_FILE": ""}),
        ((), {}),  # the settings' own file elsewhere
    ):
        said = sidecar.command("audit", "verify", *arguments, **alone, **environment)
        assert said.returncode == 1, (arguments, said.stdout)
        assert f"record {missing}: missing" in said.stderr


def configmap(sidecar: Sidecar) -> dict:
    return (sidecar.lab.get("ConfigMap", *ANCHOR.split("/")) or {}).get("data") or {}


def rebuilt(folder: Path, key: bytes) -> None:
    """The whole journal anew, with another approver, heads and the own anchor included."""
    with database(folder) as connection:
        rows = [dict(row) for row in connection.execute("SELECT * FROM journal ORDER BY seq")]
        chain = Head()
        for row in rows:
            row |= {"body": json.loads(row["body"]), "previous": chain.mac}
            row["actor"] = "mallory" if row["kind"] == "answer" else row["actor"]
            row["mac"] = mac_of(key, row)
            chain = Head(row["seq"], row["mac"])
            values = (row["actor"], row["previous"], row["mac"], row["seq"])
            connection.execute("UPDATE journal SET actor = ?, previous = ?, mac = ? WHERE seq = ?", values)
        connection.execute("UPDATE journal_head SET mac = ?", (chain.mac,))
    (folder / "journal.anchor").write_text(json.dumps({"seq": chain.seq, "mac": chain.mac}))


def test_F4_a_journal_rebuilt_with_another_key_is_named_from_its_first_record(copy):
    rebuilt(copy, b"another key, just as long")
    assert first_bad(copy) == 1


def test_F4_a_journal_rebuilt_with_the_stolen_key_shows_against_what_is_kept_elsewhere(sidecar, copy):
    rebuilt(copy, (copy / "audit.key").read_text().strip().encode())
    assert first_bad(copy) is None
    alone = {
        "LESTRADE_SIDECAR_STATE": str(copy),
        "LESTRADE_SIDECAR_AUDIT_ANCHOR_CONFIGMAP": "",
        "LESTRADE_SIDECAR_AUDIT_ANCHOR_FILE": "",
    }
    said = sidecar.command("audit", "verify", "--anchor", str(copy / "log"), **alone)
    assert (said.returncode, "the journal was rebuilt" in said.stderr) == (1, True)


def test_F4_no_sidecar_starts_on_a_journal_that_lost_its_end(shared, copy):
    cut(copy, 2, heads=False)
    other = Sidecar(lab=shared.lab, folder=copy)
    with pytest.raises(AssertionError, match=r"ended with 5.*record \d+ "):
        other.start()


# F5: a journal that cannot be written


@contextmanager
def full(sidecar: Sidecar):
    """The disk takes nothing more: no file of the process may grow beyond its first page."""
    before = resource.prlimit(sidecar.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(sidecar.process.pid, resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        resource.prlimit(sidecar.process.pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def without_anchor(sidecar: Sidecar):
    """The head cannot be kept elsewhere: a folder is where its file was."""
    anchor = Path(sidecar.environment["LESTRADE_SIDECAR_AUDIT_ANCHOR_FILE"])
    anchor.rename(anchor.with_suffix(".aside"))
    anchor.mkdir()
    (anchor / "x").touch()
    try:
        yield
    finally:
        shutil.rmtree(anchor)
        anchor.with_suffix(".aside").rename(anchor)


@contextmanager
def locked(sidecar: Sidecar):
    """Somebody else writes, for longer than is waited."""
    connection = sqlite3.connect(sidecar.folder / "sidecar.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


@pytest.mark.parametrize("broken", [full, without_anchor, locked])
def test_F5_nothing_is_written_to_the_cluster_while_the_record_cannot_be(sidecar, broken):
    settings = target(sidecar, "ConfigMap", "settings", "v1")
    changes = [{"path": "/data/mode", "before": "slow", "after": broken.__name__}]
    waiting = sidecar.submit(plan(sidecar, {"kind": "change_fields", "target": settings, "changes": changes}))
    good(sidecar.approve(waiting))
    lease = sidecar.leased({**plan(sidecar, scale(sidecar)), "incident": f"inc-{broken.__name__}"})
    step, mint = f"/v1/leases/{lease['id']}/steps/step-1", f"/v1/plans/{waiting['plan']}/lease"
    before, made = len(workload_writes(sidecar)), sidecar.leftovers()
    with broken(sidecar), ThreadPoolExecutor(3) as pool:
        given = [pool.submit(sidecar.agent.post, step), pool.submit(sidecar.agent.post, mint)]
        given.append(pool.submit(sidecar.agent.post, "/v1/plans", json=plan(sidecar, scale(sidecar, 5))))
        for response in [one.result() for one in given]:
            assert (response.status_code, response.json()["code"]) == (503, "journal-unavailable"), response.text
            assert response.headers["content-type"] == "application/problem+json"
        assert len(workload_writes(sidecar)) == before
        assert sidecar.leftovers() == made  # no rights were made either
    assert sidecar.lab.get("Deployment", "shop", "web")["spec"]["replicas"] == 2
    assert sidecar.perform(lease)["status"] == "performed"  # and nobody had to start it again
    sidecar.settle(lease)
    assert first_bad(sidecar.folder) is None


def test_F5_a_slow_store_is_waited_for(sidecar):
    lease = sidecar.leased(plan(sidecar, scale(sidecar)))
    with ThreadPoolExecutor(1) as pool:
        with locked(sidecar):
            pending = pool.submit(sidecar.perform, lease)
            time.sleep(0.7)
            assert not pending.done()
            assert sidecar.lab.get("Deployment", "shop", "web")["spec"]["replicas"] == 2
        assert pending.result()["status"] == "performed"


# F6: two at once, and a torn write


@pytest.fixture(scope="module")
def two(shared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    (folder / "key").write_text("the-key-of-both-sidecars-of-the-tests")
    with running_postgres() as server:
        over = {"LESTRADE_SIDECAR_DATABASE_URL": server.fresh(), "LESTRADE_SIDECAR_AUDIT_KEY_FILE": str(folder / "key")}
        pair = [Sidecar(lab=shared.lab, folder=folder / name, environment=over) for name in ("one", "other")]
        try:
            yield [sidecar.start() for sidecar in pair]
        finally:
            for sidecar in pair:
                if sidecar.process is not None:
                    sidecar.kill()


def test_F6_two_sidecars_that_append_at_once_leave_no_fork_and_no_gap(two, sidecar):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: two[n % 2].submit(plan(sidecar, scale(sidecar, 3 + n % 2))), range(24)))
    journal = records(two[0])
    assert len([record for record in journal if record["kind"] == "plan-decided"]) == 24
    assert [record["seq"] for record in journal] == list(range(1, len(journal) + 1))
    assert [record["previous"] for record in journal[1:]] == [record["mac"] for record in journal[:-1]]
    assert [one.command("audit", "verify").returncode for one in two] == [0, 0]


def test_F6_a_process_killed_while_it_writes_leaves_a_whole_journal(shared, tmp_path):
    own = Sidecar(lab=shared.lab, folder=tmp_path / "killed").start()
    try:
        with ThreadPoolExecutor(6) as pool:
            given = [pool.submit(own.agent.post, "/v1/plans", json=plan(own, scale(own, 3))) for _ in range(12)]
            wait_for(lambda: sum(one.done() for one in given) >= 2, what="some are answered")
            own.kill()
        answered = {one.result().json()["plan"] for one in given if one.exception() is None and one.result().status_code == 200}
        own.start()
        journal = records(own)
        assert answered <= {record["plan"] for record in journal}  # what was answered is on record
        own.submit(plan(own, scale(own, 4)))
        own.kill()
        torn = shutil.copytree(own.folder, tmp_path / "torn", ignore=shutil.ignore_patterns("agent.sock"))
        assert first_bad(own.folder) is None

        log = torn / "sidecar.db-wal"
        last = json.loads((own.folder / "journal.anchor").read_text())["mac"]
        log.write_bytes(log.read_bytes().partition(last.encode())[0])  # torn in the middle of the last record
        fault = open_record(Settings(state=torn)).verify()[1]
        assert fault is not None
        assert "missing" in fault.reason
    finally:
        own.kill()


# F7: what is claimed, and what was seen


def test_F7_helped_is_not_recorded_where_nothing_was_performed(sidecar):
    lease = sidecar.leased(plan(sidecar, scale(sidecar)))
    sidecar.lab.request("PATCH", DEPLOYMENT, {"spec": {"replicas": 3}}, content_type="application/merge-patch+json")
    assert sidecar.perform(lease)["status"] == "refused"  # somebody was faster
    settlement = sidecar.settle(lease, "helped")
    assert settlement["outcome"] == "not-performed"


def test_F7_a_claim_that_the_cluster_contradicts_is_flagged_in_answer_record_and_page(sidecar):
    lease = sidecar.leased(plan(sidecar, scale(sidecar)))
    assert sidecar.perform(lease)["status"] == "performed"
    sidecar.lab.request("PATCH", DEPLOYMENT, {"spec": {"replicas": 0}}, content_type="application/merge-patch+json")
    settlement = sidecar.settle(lease, "helped")
    assert settlement["contradictions"] == ['it is said to be "helped", but step-1 is changed-since']
    recorded = next(record for record in records(sidecar, about=lease["id"]) if record["kind"] == "lease-settled")
    assert recorded["body"]["observed"]["steps"] == {"step-1": "changed-since"}
    shown = sidecar.command("audit", "show", lease["id"]).stdout
    assert "CONTRADICTION" in shown
    assert "the sidecar saw: step-1 is changed-since" in shown


def test_F7_an_end_that_fits_is_flagged_nowhere(sidecar):
    lease = whole_way(sidecar)
    shown = sidecar.command("audit", "show", lease["id"]).stdout
    assert "CONTRADICTION" not in shown
    assert "the sidecar saw: step-1 is as-left" in shown
    assert len(shown.splitlines()) <= 45  # one page

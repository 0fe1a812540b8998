"""The demonstration at a terminal, without one, and for machines."""

import json
import os
import pty
import re
import subprocess
import sys
import time

from tests.agent.cli.test_commands import REPOSITORY, lestrade, surroundings


def test_for_machines_it_prints_one_object_that_shows_that_the_loan_is_over(tmp_path):
    done = lestrade(tmp_path, "demo", "memory-limit", "--yes", "--json")
    account = json.loads(done.stdout)

    assert done.returncode == 0, done.stderr
    assert (account["outcome"], account["cause"], account["healed"]) == ("repaired", "oom-killed", True)
    assert (account["leftovers"], account["audit_ok"]) == ([], True)
    assert account["settlements"][0]["refusal"] in ("401", "403")
    changed = [write for write in account["writes"] if write["namespace"] == "shop" and write["verb"] == "patch"]
    assert [write["identity"].split("/")[0] for write in changed] == ["lestrade-leases"]
    assert (tmp_path / "lestrade-reports" / f"{account['run']}.html").exists()


def test_without_a_terminal_nobody_can_approve_and_nothing_is_written(tmp_path):
    done = lestrade(tmp_path, "demo", "memory-limit")

    assert done.returncode == 3
    assert "nobody can approve" in done.stderr
    assert "no rights were lent" in done.stderr


def test_at_a_terminal_the_person_sees_the_diff_and_answers(tmp_path):
    primary, secondary = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "agent.cli", "demo", "service-selector"],
        cwd=tmp_path,
        env={**os.environ, **surroundings(tmp_path), "PYTHONPATH": str(REPOSITORY)},
        stdin=secondary,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    os.close(secondary)
    seen = ""
    try:
        deadline = time.monotonic() + 90
        while "Approve this change?" not in seen and time.monotonic() < deadline:
            seen += process.stdout.read(1)
        os.write(primary, b"n\n")
        seen += process.communicate(timeout=60)[0]
    finally:
        process.kill()
        os.close(primary)

    assert re.search(r"-\s+app: bookings-api", seen)
    assert re.search(r"\+\s+app: booking-api", seen)
    assert process.returncode == 3
    assert "Refused by a person" in seen

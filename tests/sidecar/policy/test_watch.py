"""A bundle that changes is admitted in the background and put in place in one step; what is refused changes nothing (D2)."""

import os
import re
import shutil
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from sidecar.errors import JournalUnavailable, SettingsError
from sidecar.policy import CurrentPolicy, PolicySource, PolicyWatch, load
from sidecar.policy.admission import SEAL, seal_of
from sidecar.policy.current import Admitted
from tests.servers import free_port, running_opa
from tests.sidecar.policy.builders import NOW, facts, plan
from tests.sidecar.process.harness import wait_for

RULES = """package remediation

default decision := {"verdict": "deny", "reasons": [{"rule": "no", "step": "", "message": "SAID", "fix": null}],
	"approvals": null, "lease_seconds": 0}
"""


@dataclass
class Noted:
    """A recorder that remembers, or cannot."""

    notes: list[str] = field(default_factory=list)
    broken: bool = False

    def loaded(self, admitted: Admitted) -> datetime:
        return self._note(f"loaded {admitted.revision[:8]}")

    def refused(self, why: str) -> datetime:
        return self._note(f"refused {why}")

    def _note(self, text: str) -> datetime:
        if self.broken:
            raise JournalUnavailable("the disk is full")
        self.notes.append(text)
        return NOW


@dataclass
class Watched:
    folder: Path
    record: Noted
    current: CurrentPolicy
    watch: PolicyWatch

    def write(self, said: str, path: str = "remediation/decision.rego") -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(RULES.replace("SAID", said))
        sealed(self.folder)

    def says(self) -> str:
        return self.current.decide(plan(), facts()).reasons[0].message

    def twice(self) -> None:
        self.watch.look()
        self.watch.look()


def sealed(folder: Path) -> None:
    """Examined already: how a bundle is tried has tests of its own, and takes a while."""
    (folder / SEAL).write_text(seal_of(load(folder)))


def watched(folder: Path, opa_url: str = "") -> Watched:
    if not folder.exists():
        shutil.copytree("policies/platform", folder / "platform")
        (folder / "remediation").mkdir()
        (folder / "remediation" / "decision.rego").write_text(RULES.replace("SAID", "first"))
        sealed(folder)
    record, current = Noted(), CurrentPolicy()
    source = PolicySource.of(folder, None, opa_url)
    return Watched(folder, record, current, PolicyWatch(source, current, record))


@pytest.fixture
def there(tmp_path: Path) -> Watched:
    found = watched(tmp_path / "policies")
    found.watch.start()
    return found


def test_a_changed_rule_judges_after_two_looks_that_find_it_the_same(there: Watched) -> None:
    before = there.current.revision
    there.write("second")

    there.watch.look()
    assert there.says() == "first"  # it may still be being written
    there.watch.look()

    assert there.says() == "second"
    assert there.current.revision != before
    assert [note.split()[0] for note in there.record.notes] == ["loaded", "loaded"]


def test_what_no_rule_reads_is_as_the_current_bundle_says(there: Watched) -> None:
    assert CurrentPolicy().unread == there.current.unread == frozenset()
    data = there.folder / "platform" / "data.yaml"
    text = data.read_text()
    assert "unread: []" in text
    data.write_text(text.replace("unread: []", "unread: [helm]"))
    sealed(there.folder)

    there.twice()

    assert there.current.unread == {"helm"}


def test_whoever_asks_at_once_does_not_wait_for_the_second_look(there: Watched) -> None:
    there.write("second")

    there.watch.look(at_once=True)

    assert there.says() == "second"


def test_a_changed_key_of_the_data_is_another_revision(there: Watched) -> None:
    before = there.current.revision
    data = there.folder / "platform" / "data.yaml"
    data.write_text(data.read_text().replace("seconds: 900", "seconds: 800"))
    sealed(there.folder)

    there.twice()

    assert there.current.revision != before


@pytest.mark.parametrize(
    ("path", "text", "why"),
    [
        ("remediation/decision.rego", "package remediation\n\ndecision := {", "does not compile|brings the embedded engine down"),
        ("remediation/more.rego", 'package remediation.more\n\nx := http.send({"url": "http://evil"})\n', "http.send"),
        ("platform/data.yaml", "version: 2\n", "platform/data.yaml"),
        ("remediation/x_cases.yaml", "- {name: a wish, document: none, expect: {verdict: allow}}\n", "no document"),
        ("remediation/more.rego", "package other\n", "outside of package remediation"),
    ],
    ids=["does not compile", "reaches out", "data", "case", "package"],
)
def test_what_is_refused_is_on_record_once_and_the_last_good_one_stays(there: Watched, path: str, text: str, why: str) -> None:
    before = there.current.revision
    (there.folder / path).write_text(text)

    there.twice()
    there.twice()

    standing = there.current.standing()
    assert there.says() == "first"
    assert standing.revision == before
    assert standing.pending
    assert standing.refused_at == NOW
    assert len(there.record.notes) == 2
    assert re.search(why, standing.refusal)
    assert re.search(why, there.record.notes[1])


def test_the_good_one_laid_back_is_what_judges_already(there: Watched) -> None:
    path = there.folder / "remediation" / "decision.rego"
    good = path.read_text()
    path.write_text("not rego at all")
    there.twice()
    path.write_text(good)

    there.twice()

    assert not there.current.standing().pending
    assert there.current.standing().refusal  # the last refusal is still shown, with its time
    assert len(there.record.notes) == 2


def test_a_bundle_that_is_emptied_leaves_the_last_good_one(there: Watched) -> None:
    shutil.rmtree(there.folder)
    there.twice()
    assert there.says() == "first"
    assert "not a directory" in there.current.standing().refusal

    there.folder.mkdir()
    there.twice()
    assert there.says() == "first"


def test_what_cannot_be_recorded_does_not_happen_and_is_tried_again(there: Watched) -> None:
    there.write("second")
    there.watch.look()
    there.record.broken = True
    with pytest.raises(JournalUnavailable):
        there.watch.look()
    assert there.says() == "first"

    there.record.broken = False
    there.watch.look()

    assert there.says() == "second"


def test_without_any_good_bundle_everything_is_denied_until_there_is_one(tmp_path: Path) -> None:
    there = watched(tmp_path / "policies")
    there.write("first")
    (there.folder / "remediation" / "decision.rego").write_text("package remediation\n\ndecision := {")
    there.watch.start()

    decision = there.current.decide(plan(), facts())
    assert (decision.verdict, decision.revision) == ("deny", "none")
    assert decision.reasons[0].rule == "policy-unavailable"
    assert there.current.standing().unavailable
    assert there.record.notes[0].startswith("refused")

    there.write("better")
    there.twice()
    assert there.says() == "better"
    assert there.current.standing().unavailable == ""


def test_a_bundle_that_kubernetes_mounts_is_followed_through_its_links(tmp_path: Path) -> None:
    """ConfigMap volumes: `remediation` -> `..data/remediation`, `..data` -> a folder that is swapped whole."""
    mount = tmp_path / "mount"
    mount.mkdir()
    for name, said in (("..one", "first"), ("..two", "second")):
        shutil.copytree("policies/platform", mount / name / "platform")
        (mount / name / "remediation").mkdir()
        (mount / name / "remediation" / "decision.rego").write_text(RULES.replace("SAID", said))
        sealed(mount / name)
    (mount / "..data").symlink_to("..one")
    for name in ("platform", "remediation", SEAL):
        (mount / name).symlink_to(f"..data/{name}")
    there = watched(mount)
    there.watch.start()
    assert there.says() == "first"

    (mount / "..new").symlink_to("..two")
    os.replace(mount / "..new", mount / "..data")
    there.twice()

    assert there.says() == "second"


def test_links_in_a_circle_are_refused(tmp_path: Path, there: Watched) -> None:
    (there.folder / "remediation" / "again").symlink_to(there.folder)

    there.twice()

    assert "circle" in there.current.standing().refusal
    assert there.says() == "first"


def test_on_an_opa_server_a_bundle_is_current_only_after_the_server_took_it(tmp_path: Path) -> None:
    with running_opa() as server:
        there = watched(tmp_path / "policies", server.url)
        there.watch.start()
        wait_for(lambda: there.says() == "first", what="the rules are on the server")
        server.stop()
        there.write("second")
        there.twice()
        standing = there.current.standing()
        assert standing.pending
        assert "OPA" in standing.refusal
        assert standing.unavailable
        revision = standing.revision
        server.start()
        there.watch.look(at_once=True)

        assert there.current.revision != revision
        assert there.says() == "second"


def test_an_opa_server_that_is_not_there_at_the_start_is_a_denial_and_no_end(tmp_path: Path) -> None:
    there = watched(tmp_path / "policies", f"http://127.0.0.1:{free_port()}")
    there.watch.start()

    assert there.current.decide(plan(), facts()).reasons[0].rule == "policy-unavailable"
    assert there.current.standing().unavailable


def test_a_path_that_is_mistyped_is_a_setting_to_mend_and_no_refused_bundle(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="not a directory"):
        PolicySource.of(tmp_path / "nowhere", None, "")
    with pytest.raises(SettingsError, match="overlay"):
        PolicySource.of(None, tmp_path / "nowhere", "")

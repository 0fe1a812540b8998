"""The head of the journal kept elsewhere: in a file, in a ConfigMap, in the lines of a log."""

import json
import time

import pytest

from sidecar.audit import AnchorConfigMap, AnchorFile, Head, heads_in
from sidecar.errors import ClusterUnavailable, JournalUnavailable, SettingsError
from sidecar.ports import ApiAnswer, ApiCall


class ConfigMaps:
    """One ConfigMap behind the port. `status` answers instead of it; `down` answers nothing."""

    name = "lab"

    def __init__(self, data: dict | None = None) -> None:
        self.data, self.version, self.status, self.down = data or {}, 1, 0, False
        self.patches: list[dict] = []

    def send(self, call: ApiCall, credential=None) -> ApiAnswer:
        if self.down:
            raise ClusterUnavailable("no answer")
        if self.status:
            return ApiAnswer(status=self.status, body={})
        assert call.path == "/api/v1/namespaces/lestrade/configmaps/lestrade-audit"
        if call.method == "PATCH":
            if call.body["metadata"]["resourceVersion"] != str(self.version):
                return ApiAnswer(status=409, body={})
            self.patches.append(call.body["data"])
            self.data, self.version = call.body["data"], self.version + 1
        return ApiAnswer(status=200, body={"metadata": {"resourceVersion": str(self.version)}, "data": self.data})


class Quick(AnchorConfigMap):
    PAUSE_SECONDS = 0.02


def until(condition) -> None:
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


@pytest.fixture
def cluster():
    return ConfigMaps()


@pytest.fixture
def anchor(cluster):
    anchor = Quick(cluster, "lestrade/lestrade-audit")
    yield anchor
    anchor.close()


def test_a_head_is_kept_soon_and_the_last_before_the_end(anchor, cluster):
    assert anchor.kept() is None
    anchor.keep(Head(1, "a"))
    until(lambda: cluster.data.get("seq") == "1")
    assert anchor.kept() == Head(1, "a")
    anchor.keep(Head(2, "b"))
    anchor.close()
    assert anchor.kept() == Head(2, "b")


def test_it_never_goes_back(cluster, anchor):
    cluster.data = {"seq": "9", "mac": "i"}  # another sidecar is ahead
    anchor.keep(Head(3, "c"))
    anchor.close()
    assert cluster.patches == []


def test_what_the_api_server_did_not_take_is_tried_again_and_holds_nobody_up(anchor, cluster):
    cluster.down = True
    began = time.monotonic()
    anchor.keep(Head(4, "d"))
    assert time.monotonic() - began < 1
    with pytest.raises(JournalUnavailable, match="ConfigMap lestrade/lestrade-audit"):
        anchor.kept()
    cluster.down = False
    until(lambda: cluster.data.get("seq") == "4")


@pytest.mark.parametrize("status", [403, 404, 500])
def test_an_anchor_that_may_not_be_read_is_not_no_anchor(anchor, cluster, status):
    cluster.status = status
    with pytest.raises(JournalUnavailable, match=str(status)):
        anchor.kept()


@pytest.mark.parametrize("data", [{"seq": "x", "mac": "a"}, {"seq": "3"}])
def test_an_anchor_that_holds_no_head_is_not_no_anchor(anchor, cluster, data):
    cluster.data = data
    with pytest.raises(JournalUnavailable, match="no head"):
        anchor.kept()


def test_an_anchor_that_does_not_wait_for_the_disk_is_written_all_the_same(tmp_path):
    anchor = AnchorFile(tmp_path / "anchor", waits=False)
    for seq in (1, 2):
        anchor.keep(Head(seq, "m"))
        assert AnchorFile(anchor.path).kept() == Head(seq, "m")
    anchor.settle()
    anchor.settle()  # there is nothing left to be done
    assert anchor.kept() == Head(2, "m")


def test_what_the_disk_did_not_take_is_tried_again_and_waited_for(tmp_path):
    anchor = AnchorFile(tmp_path / "anchor", waits=False)
    anchor.keep(Head(1, "m"))
    anchor.keep(Head(2, "m"))
    moved = anchor.path.rename(tmp_path / "away")
    with pytest.raises(JournalUnavailable, match="No such file"):
        anchor.settle()
    with pytest.raises(JournalUnavailable):  # not forgotten
        anchor.settle()
    moved.rename(anchor.path)
    anchor.settle()
    assert anchor.kept() == Head(2, "m")


def test_heads_are_found_in_an_anchor_file_and_in_a_log_whatever_stands_around_them(tmp_path):
    AnchorFile(tmp_path / "anchor").keep(Head(7, "m"))
    assert heads_in(tmp_path / "anchor") == [Head(7, "m")]
    assert [path.name for path in tmp_path.iterdir()] == ["anchor"]  # no draft is left
    line = json.dumps({"event": "journal head", "seq": 1, "mac": "a", "level": "info"})
    other = json.dumps({"event": "built", "seq": 2, "mac": "b"})
    text = f"2026-03-01T12:00:00Z stdout F {line}\n{other}\nnot json\n{{broken journal head}}\n{line.replace('1', '3')}\n"
    (tmp_path / "log").write_text(text)
    assert [head.seq for head in heads_in(tmp_path / "log")] == [1, 3]


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"seq": 1}', '{"seq": null, "mac": "a"}', "\xff\x00"])
def test_a_file_without_a_head_is_wrong_input(tmp_path, text):
    (tmp_path / "file").write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match="holds no head"):
        heads_in(tmp_path / "file")
    with pytest.raises(SettingsError, match="No such file"):
        heads_in(tmp_path / "nothing")

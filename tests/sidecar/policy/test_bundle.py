"""Reading a bundle: what is refused says where it is wrong, and the revision follows the content."""

from pathlib import Path

import pytest

from sidecar.errors import BundleRefused
from sidecar.policy import load, policies_folder
from sidecar.policy.bundle import DATA
from tests.sidecar.policy.builders import SHIPPED


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    for path in policies_folder().rglob("*"):
        if path.is_file():
            to = folder / path.relative_to(policies_folder())
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(path.read_bytes())
    return folder


def data_of(folder: Path, old: str, new: str) -> None:
    text = (folder / DATA).read_text()
    assert old in text
    (folder / DATA).write_text(text.replace(old, new, 1))


def test_the_revision_is_the_same_wherever_the_bundle_lies(copy: Path) -> None:
    assert load(copy).revision == SHIPPED.revision


def test_one_byte_of_a_rule_makes_another_revision(copy: Path) -> None:
    rule = copy / "remediation" / "guards" / "scale_bounds.rego"
    rule.write_text(rule.read_text() + "\n")

    assert load(copy).revision != SHIPPED.revision


def test_a_comment_in_the_data_is_no_other_revision(copy: Path) -> None:
    data_of(copy, "version: 1", "version: 1  # as ever")

    assert load(copy).revision == SHIPPED.revision


MAY = "2026-05-01T00:00:00Z"
FAULTS = [
    ("version: 1", "version: 2", "version"),
    ("fenced:\n", "fenzed:\n", "fenced|fenzed"),
    ("seconds: 900", "seconds: 9000", "lease.seconds"),
    ("seconds: 900", "seconds: '900'", "lease.seconds"),
    ("default: prod\n", "default: staging\n", "staging"),
    ("freezes: []", "freezes: [{name: x, environments: [prod], from: 2026-01-01, until: 2026-02-01}]", "freezes.0"),
    ("freezes: []", f"freezes: [{{name: x, environments: [prod], from: '{MAY}', until: '{MAY}'}}]", "ends after"),
    ("  dev: always", "  dev: [{days: [mon], from: '09:00', until: '17:00', zone: Mars/Olympus}]", "IANA"),
    ("  dev: always", "  dev: [{days: [mon], from: '22:00', until: '06:00', zone: UTC}]", "closes after"),
    ("  dev: always", "  dev: never", "windows.dev"),
    ("pods_hour: 10", "pods_hour: 10\n  pods_hour: 10000", "given twice"),
    ("pods_hour: 10", "pods_hour: [", "not YAML"),
    ("pods_hour: 10", "pods_hour: 2.5", "pods_hour"),
    ("pods_hour: 10", "pods_hour: true", "pods_hour"),
    ("minutes: {dev: 480, test: 480, prod: 240}", "minutes: {dev: 480, test: 480, prod: 525600}", "silences.minutes.prod"),
]


@pytest.mark.parametrize(("old", "new", "said"), FAULTS, ids=[new.strip()[:40] for _, new, _ in FAULTS])
def test_data_that_is_wrong_is_refused_in_one_line_that_says_where(old: str, new: str, said: str, copy: Path) -> None:
    data_of(copy, old, new)

    with pytest.raises(BundleRefused, match=said) as refusal:
        load(copy)

    assert "\n" not in str(refusal.value)


def test_a_folder_that_is_none_or_holds_no_rules_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleRefused, match="not a directory"):
        load(tmp_path / "nowhere")
    with pytest.raises(BundleRefused, match=DATA):
        load(tmp_path)
    for number in range(20):
        tmp_path = tmp_path / str(number)
    tmp_path.mkdir(parents=True)
    with pytest.raises(BundleRefused, match=DATA):  # and not what else there is about the folder
        load(tmp_path.parents[19])


def test_an_overlay_file_changes_one_key_and_leaves_the_others(tmp_path: Path) -> None:
    (tmp_path / "ours.yaml").write_text("scale: {prod: {max: 50}}\nreversible: [scale_workload]\n")

    platform = load(policies_folder(), tmp_path / "ours.yaml").data["platform"]

    assert platform["scale"]["prod"] == {"min": 1, "max": 50}  # type: ignore[index, call-overload]
    assert platform["scale"]["dev"] == {"min": 0, "max": 10}  # type: ignore[index, call-overload]
    assert platform["reversible"] == ["scale_workload"]  # type: ignore[index, call-overload]


def test_an_overlay_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleRefused, match="no policy overlay"):
        load(policies_folder(), tmp_path / "nowhere")


BOMB = "custom:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "more than 500000 values"),
        ("custom: {x: " + "[" * 100_000 + "]" * 100_000 + "}\n", "nested deeper than 100"),
        ("- " * 100_000 + "x\n", "nested deeper than 100"),
        ("custom: &a {x: *a}\n", "names nothing that is complete"),
        ("custom: {x: *a}\n", "names nothing that is complete"),
        ("custom: {x: " + "9" * 5000 + "}\n", "not plain YAML"),
        ("custom: {[1]: 2}\n", "not plain YAML"),
    ],
    ids=[
        "a tree of aliases",
        "brackets without end",
        "dashes without end",
        "a ring",
        "no anchor",
        "a long number",
        "a list as a key",
    ],
)
def test_yaml_that_is_more_than_it_looks_is_refused_before_it_is_built(text: str, said: str, tmp_path: Path) -> None:
    """Some of these end a process, or take all of its memory."""
    (tmp_path / "ours.yaml").write_text(text)

    with pytest.raises(BundleRefused, match=said) as refusal:
        load(policies_folder(), tmp_path / "ours.yaml")

    assert "\n" not in str(refusal.value)


def test_aliases_that_stand_for_little_are_what_they_name(tmp_path: Path) -> None:
    (tmp_path / "ours.yaml").write_text("reversible: &few [scale_workload]\ncustom: {also: *few, and: {<<: {a: 1}, b: 2}}\n")

    platform = load(policies_folder(), tmp_path / "ours.yaml").data["platform"]

    assert platform["custom"] == {"also": ["scale_workload"], "and": {"a": 1, "b": 2}}  # type: ignore[index, call-overload]


def test_a_file_without_end_is_refused_before_all_of_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "ours.yaml").open("wb") as file:
        file.truncate(1 << 40)  # a hole: it takes no room, and no memory would hold it

    with pytest.raises(BundleRefused, match="larger than"):
        load(policies_folder(), tmp_path / "ours.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "!!binary aGVsbG8=",
        "{plan: .nan, facts: -.inf}",
        "{yes: 2}",
        "{a: !!set {b}}",
        "{a: 12345678901234567}",
        "{a: 0x" + "f" * 9000 + "}",
        "{a: !!bool perhaps}",
        "{a: !!timestamp 2026-01-01}",
    ],
    ids=["bytes", "no number", "a key that is a yes", "a set", "a large number", "a long number", "a tag", "a date"],
)
@pytest.mark.parametrize("name", ["cases/mine.yaml", "remediation/mine_cases.yaml"])
def test_what_json_has_not_is_refused_wherever_it_stands(name: str, text: str, tmp_path: Path) -> None:
    """Nothing could be said of it by a digest, and no engine be asked."""
    for path, content in {"platform/data.yaml": "{}", name: text}.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(content)
    (tmp_path / "remediation").mkdir(exist_ok=True)
    (tmp_path / "remediation/decision.rego").write_text("package remediation\n")

    with pytest.raises(BundleRefused, match=f"^{name}: "):
        load(tmp_path)

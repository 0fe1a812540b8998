"""The people file: hashes only, read again when it changes, and nobody is known when it cannot be read."""

import pytest

from sidecar.approvals import PeopleFile
from sidecar.errors import SettingsError
from sidecar.settings import secret_from


def test_a_token_is_shown_once_and_only_its_hash_is_kept(tmp_path):
    people = PeopleFile(tmp_path / "people.toml")
    token = people.add("ada", ("approver",))
    assert token not in people.path.read_text()
    assert people.by_token(token).roles == {"approver"}
    assert people.by_token(token + "x") is None
    assert people.by_token("") is None


def test_whoever_is_taken_out_is_unknown_at_the_next_look(tmp_path):
    people = PeopleFile(tmp_path / "people.toml")
    token = people.add("ada", ("approver",))
    assert people.by_token(token) is not None
    people.path.write_text("")
    assert people.by_token(token) is None


def test_two_tokens_of_one_name_are_one_person_with_the_roles_that_both_have(tmp_path):
    people = PeopleFile(tmp_path / "people.toml")
    one = people.add("ada", ("approver", "owner"))
    other = PeopleFile(tmp_path / "other.toml")
    two = other.add("ada", ("approver",))
    people.path.write_text(people.path.read_text() + other.path.read_text())
    assert people.by_token(one) == people.by_token(two)
    assert people.by_token(one).roles == {"approver"}


def test_a_missing_file_knows_nobody(tmp_path):
    assert PeopleFile(tmp_path / "none.toml").by_token("x") is None


@pytest.mark.parametrize(
    "text", ["not toml [", '[[person]]\nname = "a"\n', 'person = "x"\n', '[[person]]\nname="a"\ntoken_sha256="xyz"\n']
)
def test_a_file_that_is_not_valid_is_named_in_one_line_and_knows_nobody(tmp_path, text):
    path = tmp_path / "people.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"people\.toml") as caught:
        PeopleFile(path).check()
    assert "\n" not in str(caught.value)
    assert PeopleFile(path).by_name("a") is None


@pytest.mark.parametrize(
    ("name", "role"), [("", "approver"), ("a\nb", "approver"), ("ada", "Not A Role"), ('x"]\n[[person]]', "approver")]
)
def test_a_name_that_could_forge_an_entry_is_refused(tmp_path, name, role):
    with pytest.raises(SettingsError):
        PeopleFile(tmp_path / "people.toml").add(name, (role,))


def test_a_state_folder_that_is_made_is_for_its_owner_alone(tmp_path):
    secret_from(None, tmp_path / "one" / "agent.token", what="a token")
    PeopleFile(tmp_path / "two" / "people.toml").add("ada", ("sre",))
    assert [(tmp_path / name).stat().st_mode & 0o077 for name in ("one", "two")] == [0, 0]

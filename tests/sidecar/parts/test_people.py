"""The people file: hashes only, read again when it changes, and nobody is known when it cannot be read."""

import pytest

from sidecar.approvals import PeopleFile
from sidecar.errors import SettingsError
from sidecar.secret_files import secret_from


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


def entry(name: str, *lines: str) -> str:
    return "\n".join(["[[person]]", f'name = "{name}"', *lines, ""])


def test_every_account_of_a_person_leads_to_the_same_person(tmp_path):
    people = PeopleFile(tmp_path / "people.toml")
    token = people.add(
        "ada", ("sre",), oidc_subject="sub-ada", email="ada@example.com", slack_user="U1", aliases=("ada.l",), bot=False
    )
    person = people.by_token(token)
    assert person == people.by_slack("U1") == people.by_account(subject="sub-ada") == people.by_name("ada")
    assert person.also == {"sub-ada", "ada@example.com", "U1", "ada.l"}
    assert people.by_slack("") is None
    assert people.by_account(subject="") is None


@pytest.mark.parametrize(
    "other",
    [
        'slack_user = "U1"',
        'oidc_subject = "sub-ada"\nslack_user = "U2"',
        'email = "ADA@example.com"',
        'aliases = ["Ada "]\nslack_user = "U2"',
        'aliases = ["ada@example.com"]\nslack_user = "U2"',
    ],
)
def test_an_account_that_leads_to_two_people_makes_the_whole_file_unusable(tmp_path, other):
    path = tmp_path / "people.toml"
    first = entry("ada", 'slack_user = "U1"', 'oidc_subject = "sub-ada"', 'email = "ada@example.com"')
    path.write_text(first + entry("eve", other))
    with pytest.raises(SettingsError, match="ada and eve have an account in common"):
        PeopleFile(path).check()
    assert PeopleFile(path).by_name("ada") is None


def test_one_token_of_two_people_makes_the_whole_file_unusable(tmp_path):
    people = PeopleFile(tmp_path / "people.toml")
    people.add("ada", ("sre",))
    people.path.write_text(people.path.read_text() + people.path.read_text().replace('"ada"', '"eve"'))
    with pytest.raises(SettingsError, match="the same token"):
        people.check()


def test_a_name_that_belongs_to_the_identity_provider_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="oidc:"):
        PeopleFile(tmp_path / "people.toml").add("oidc:https://idp#1", ("sre",))


def test_taking_one_out_leaves_the_others_and_their_comments(tmp_path):
    people = PeopleFile(tmp_path / "people.toml")
    people.path.write_text(
        "# of the platform team\n" + entry("ada", 'slack_user = "U1"') + "# on leave\n" + entry("bob", 'slack_user = "U2"')
    )
    people.add("eve", ("sre",))
    people.remove("bob")
    assert [person.name for person in people.listed()] == ["ada", "eve"]
    assert "# of the platform team" in people.path.read_text()
    with pytest.raises(SettingsError, match="is not in"):
        people.remove("bob")
    assert people.path.stat().st_mode & 0o077 == 0


def test_another_token_is_another_mark(tmp_path):
    people = PeopleFile(tmp_path / "people.toml")
    people.add("ada", ("sre",))
    before = people.by_name("ada").mark
    people.remove("ada")
    people.add("ada", ("sre",))
    assert people.by_name("ada").mark != before

"""Who a verified token of the identity provider speaks of, and what they may do. The provider is a real one on loopback."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from identity import Provider, Verifier
from sidecar.approvals import Directory, Outside, PeopleFile, Seen
from tests.fakes.oidc_provider import AUDIENCE, FakeProvider, running_provider


class Memberships:
    """What sidecar.gate.memberships keeps in the database, in memory."""

    def __init__(self) -> None:
        self.seen: dict[str, Seen] = {}
        self.at = datetime.now(UTC)

    def keep(self, seen: Seen) -> Seen:
        known = self.seen.get(seen.name)
        if known is None or seen.at > known.at:
            self.seen[seen.name] = seen
        return self.seen[seen.name]

    def of(self, name: str) -> Seen | None:
        return self.seen.get(name)

    def now(self) -> datetime:
        return self.at


@pytest.fixture(scope="module")
def running():
    with running_provider() as provider:
        yield provider


@pytest.fixture
def fake(running: FakeProvider):
    running.keys, running.down, running.discovery = running.keys[:1], False, {}
    running.asked.clear()
    return running


@pytest.fixture
def verifier(fake):
    return Verifier(provider=Provider(fake.issuer), audience=AUDIENCE)


def directory(verifier, tmp_path, *people: str) -> Directory:
    file = tmp_path / "people.toml"
    file.write_text("".join(f"[[person]]\n{person}\n" for person in people))
    roles = {"sre-team": frozenset({"sre"}), "glass-team": frozenset({"break-glass"})}
    outside = Outside(verifier=verifier, roles=roles, memberships=Memberships(), longest=timedelta(hours=1))
    return Directory(PeopleFile(file), outside)


def test_a_group_means_a_role_and_the_person_is_issuer_and_subject(fake, verifier, tmp_path):
    people = directory(verifier, tmp_path)
    person = people.by_token(fake.token(groups=["sre-team", "staff"]))
    assert person.roles == {"sre"}
    assert person.name == f"oidc:{fake.issuer}#sub-gil"
    assert people.by_name(person.name) == person
    assert people.by_token(fake.token("sub-other", name="Gil", groups=["sre-team"])).name != person.name


def test_whoever_is_in_the_file_has_the_roles_of_the_file_and_one_name(fake, verifier, tmp_path):
    people = directory(verifier, tmp_path, 'name = "gil"\nroles = ["viewer"]\noidc_subject = "sub-gil"\nslack_user = "U1"')
    person = people.by_token(fake.token(groups=["sre-team"]))
    assert (person.name, person.roles) == ("gil", {"viewer"})
    assert people.by_slack("U1") == person


def test_an_address_counts_only_when_the_provider_vouches_for_it(fake, verifier, tmp_path):
    people = directory(verifier, tmp_path, 'name = "gil"\nroles = ["sre"]\nemail = "gil@example.com"')
    assert people.by_token(fake.token(email="GIL@example.com", email_verified=True)).name == "gil"
    assert people.by_token(fake.token("sub-2", email="gil@example.com", groups=["sre-team"])).name.startswith("oidc:")
    assert people.by_token(
        fake.token("sub-3", email="gil@example.com", email_verified="true", groups=["sre-team"])
    ).name.startswith("oidc:")


@pytest.mark.parametrize("other", ["gro\u00df@example.com", "gros\uff53@example.com", "gro\u00adss@example.com", " ", "\u00ad"])
def test_an_address_that_only_looks_like_that_of_somebody_listed_is_nobodys(fake, verifier, tmp_path, other):
    people = directory(
        verifier, tmp_path, 'name = "jim"\nroles = ["sre"]\nslack_user = "U2"', 'name = "gross"\nemail = "gross@example.com"'
    )
    assert people.by_token(fake.token("sub-thief", email=other, email_verified=True)) is None


def test_an_entry_with_a_subject_is_not_opened_by_an_address(fake, verifier, tmp_path):
    people = directory(verifier, tmp_path, 'name = "gil"\nroles = ["sre"]\nemail = "g@example.com"\noidc_subject = "sub-gil"')
    assert people.by_token(fake.token("sub-thief", email="g@example.com", email_verified=True)) is None


def test_whoever_calls_themselves_like_another_is_not_the_other(fake, verifier, tmp_path):
    people = directory(verifier, tmp_path, 'name = "ada"\nroles = ["sre"]\nslack_user = "U1"')
    assert people.by_token(fake.token("sub-mallory", name="ada", preferred_username="ada", groups=["sre-team"])).name != "ada"
    assert people.by_token(fake.token("sub-nobody", name="ada", preferred_username="ada", groups=["staff"])) is None


def test_whoever_left_the_group_counts_no_longer_and_an_old_token_changes_nothing(fake, verifier, tmp_path):
    people = directory(verifier, tmp_path)
    now = int(time.time())
    before = fake.token(groups=["sre-team"], iat=now - 60)
    name = people.by_token(before).name
    assert people.by_token(fake.token(groups=["glass-team"], iat=now - 30)).roles == {"break-glass"}
    assert people.by_token(before).roles == {"break-glass"}
    assert people.by_token(fake.token(groups=[], iat=now)) is None
    assert people.by_name(name) is None
    assert people.by_token(before) is None


def test_a_membership_lasts_for_a_time_only(fake, verifier, tmp_path):
    people = directory(verifier, tmp_path)
    token = fake.token(groups=["sre-team"])
    name = people.by_token(token).name
    people.outside.memberships.at += timedelta(minutes=61)
    assert people.by_name(name) is None
    assert people.by_token(token) is None


def test_another_issuer_is_another_person(fake, verifier, tmp_path):
    people = directory(verifier, tmp_path)
    people.by_token(fake.token())
    assert people.by_name("oidc:https://elsewhere.example#sub-gil") is None


def test_listed_meanwhile_is_the_same_person_under_both_names(fake, verifier, tmp_path):
    people = directory(verifier, tmp_path)
    name = people.by_token(fake.token(groups=["sre-team"])).name
    people.file.path.write_text('[[person]]\nname = "gil"\nroles = ["sre"]\noidc_subject = "sub-gil"\n')
    assert people.by_name(name).name == "gil"

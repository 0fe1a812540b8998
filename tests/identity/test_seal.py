"""Sealed cookies and the file of people: what is taken for true, and what is not."""

from datetime import UTC, datetime, timedelta

import pytest

from identity import Roll, Seal

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


def test_what_was_sealed_opens_for_its_purpose_and_for_its_time():
    seal = Seal(b"k" * 32, "a program")
    text = seal.close("session", {"name": "ada"}, until=LATER)

    assert seal.open("session", text, now=NOW)["name"] == "ada"
    assert seal.open("log-in", text, now=NOW) is None
    assert seal.open("session", text, now=LATER) is None
    assert Seal(b"j" * 32, "a program").open("session", text, now=NOW) is None
    assert Seal(b"k" * 32, "another").open("session", text, now=NOW) is None
    assert seal.close("session", {"name": "ada"}, until=LATER) != text


@pytest.mark.parametrize(
    "spoil", [lambda text: text[1:], lambda text: f"{text}x", lambda text: f"é{text}", lambda _: "", lambda _: "."]
)
def test_what_was_altered_does_not_open(spoil):
    seal = Seal(b"k" * 32, "a program")

    assert seal.open("session", spoil(seal.close("session", {"name": "ada"}, until=LATER)), now=NOW) is None


def test_a_key_is_in_no_text_of_a_seal():
    assert "kkk" not in repr(Seal(b"k" * 32, "a program"))


def test_a_roll_is_read_again_when_it_changes_and_knows_nobody_once_it_is_spoilt(tmp_path):
    def parse(text: str) -> tuple[str, ...]:
        if "spoilt" in text:
            raise ValueError("spoilt")
        return tuple(text.split())

    roll = Roll(tmp_path / "folder" / "people", parse)
    assert roll.entries() == ()

    roll.write("ada bob")
    assert roll.entries() == ("ada", "bob")
    assert roll.path.stat().st_mode & 0o077 == 0
    assert [file.name for file in roll.path.parent.iterdir()] == ["people"]

    roll.write("ada spoilt")
    assert roll.entries() == ()
    roll.path.unlink()
    assert roll.entries() == ()

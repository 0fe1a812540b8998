"""`lestrade people`: who may look and ask, added and taken out at the terminal."""

import pytest

from agent.app.people import PeopleFile
from agent.cli import acquainting
from agent.errors import InputError


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("LESTRADE_PEOPLE_FILE", str(tmp_path / "people.toml"))
    return PeopleFile(tmp_path / "people.toml")


def test_a_person_is_added_with_a_token_that_is_shown_once_and_taken_out_again(file, capsys):
    acquainting.add("ada", None)
    token = capsys.readouterr().out.strip()
    acquainting.add('bob "the builder"', None)
    capsys.readouterr()
    acquainting.show(None)

    assert capsys.readouterr().out.split("\n")[:2] == ["ada", 'bob "the builder"']
    assert file.by_token(token).name == "ada"
    acquainting.remove("ada", None)
    assert file.by_token(token) is None
    assert file.names() == ('bob "the builder"',)


def test_what_cannot_be_done_is_said(file, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="people add"):
        acquainting.show(None)
    with pytest.raises(InputError, match="not in"):
        acquainting.remove("nobody", None)
    file.path.write_text("[[person]")
    with pytest.raises(InputError, match="people file"):
        acquainting.add("ada", None)
    monkeypatch.delenv("LESTRADE_PEOPLE_FILE")
    with pytest.raises(InputError, match="LESTRADE_PEOPLE_FILE is not set"):
        acquainting.show(None)

"""What `lestrade people` does: the file of who may look and ask, by local token. Tokens are shown once and kept nowhere."""

from pathlib import Path

from agent.app.people import PeopleFile
from agent.cli.terminal import settings_from
from agent.errors import InputError


def add(name: str, config: Path | None) -> int:
    print(_file(config).add(name))
    return 0


def show(config: Path | None) -> int:
    file = _file(config)
    names = file.names()
    if not names:
        raise InputError(f"nobody is in {file.path}: lestrade people add NAME")
    print("\n".join(names))
    return 0


def remove(name: str, config: Path | None) -> int:
    _file(config).remove(name)
    print(f"{name} is no longer known")
    return 0


def _file(config: Path | None) -> PeopleFile:
    path = settings_from(config).people_file
    if path is None:
        raise InputError("LESTRADE_PEOPLE_FILE is not set: name the file that is to hold who may look and ask")
    return PeopleFile(path)

"""README and docs/ name only commands, options and settings that exist."""

import re
from pathlib import Path

import pytest
import typer.main

from agent.cli.program import app as agent
from agent.settings import PREFIX
from agent.settings import Settings as AgentSettings
from sidecar.cli.program import app as sidecar
from sidecar.settings import VARIABLES as SIDECAR_SETTINGS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = {"lestrade": typer.main.get_command(agent), "lestrade-sidecar": typer.main.get_command(sidecar)}
# Of other programs: the operator's shell, make, and the tests.
OTHERS = {"LESTRADE_OPERATOR_TOKEN", "LESTRADE_SIDECAR_PEOPLE_URL", "LESTRADE_TEST_KUBECONFIG", "LESTRADE_SIDECAR_CONFIG"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_their_options_exist(page):
    for program, words in re.findall(r"(?m)(?:^|[`( ])(lestrade(?:-sidecar)?) ([a-z][^`\n#]*)", page.read_text("utf-8")):
        command, rest = PROGRAMS[program], words.split()
        while rest and hasattr(command, "commands") and re.fullmatch(r"[a-z][a-z-]*", rest[0]):
            assert rest[0] in command.commands, f"{program} {words}"
            command = command.commands[rest.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= known | {"--help"}, f"{program} {words}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_exist(page):
    named = set(re.findall(r"\bLESTRADE_[A-Z0-9_]*[A-Z0-9]\b", page.read_text("utf-8")))
    of_agent = {PREFIX + name.upper() for name in AgentSettings.model_fields}
    assert named - of_agent - OTHERS <= set(SIDECAR_SETTINGS.values())

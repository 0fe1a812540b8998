"""Scenarios: one YAML file each, found by name. The format is what `scenario.py` says."""

from functools import cache
from pathlib import Path

from lab.scenarios.loading import read_file
from lab.scenarios.scenario import Scenario, ScenarioError

FOLDER = Path(__file__).parent

__all__ = ["Scenario", "ScenarioError", "load", "load_file", "names"]


@cache
def names() -> tuple[str, ...]:
    return tuple(sorted(p.stem for p in FOLDER.glob("*.yaml")))


def load(name: str) -> Scenario:
    """Raises ScenarioError: no such scenario, or a file that is not one."""
    if name not in names():
        raise ScenarioError(f"there is no scenario {name!r}; there are: {', '.join(names())}")
    return load_file(FOLDER / f"{name}.yaml")


def load_file(path: Path) -> Scenario:
    """One that lies elsewhere. Raises ScenarioError."""
    return read_file(path, FOLDER / "parts")

"""What the real OPA brings along, and what both engines make of the same text."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from sidecar.contract import Json
from sidecar.errors import BundleRefused
from sidecar.policy import builtins, policies_folder
from sidecar.policy.bundle import assemble, merged
from sidecar.policy.caged import EmbeddedEngine
from sidecar.policy.engine import Engine
from sidecar.policy.opa import OpaEngine
from tests.servers import OpaServer, program
from tests.sidecar.policy.builders import SHIPPED

TEXTS = ["é", "😀", "a\nb", "a\tb", 'a"b', "a\\b", "a\\nb", "a/b", "<&>", "\u2028", "\u00a0", "\x7f", "\x01", "straße"]
WRITTEN = [text for text in TEXTS if all(character.isprintable() or character in "\n\t" for character in text)]


def _refused(line: str) -> bool:
    try:
        builtins.check((("remediation/x.rego", f"package remediation.x\n\n{line}\n"),))
    except BundleRefused:
        return True
    return False


def test_of_what_the_server_can_call_only_what_is_on_the_list_is_let_in_however_it_is_written() -> None:
    """A newer OPA brings new built-ins and new words: none of them is let in before somebody has looked at it."""
    said = subprocess.run([program("opa"), "capabilities", "--current"], capture_output=True, check=True, timeout=60).stdout
    capabilities: dict[str, Any] = json.loads(said)
    calls = [one["name"] for one in capabilities["builtins"] if "infix" not in one]
    assert len(calls) > 150
    unknown = [name for name in builtins.PERMITTED if name not in calls]
    assert unknown == []
    not_the_same_twice = {one["name"] for one in capabilities["builtins"] if one.get("nondeterministic")}
    assert not (builtins.PERMITTED & not_the_same_twice)
    let_in = []
    for name in calls:
        first, _, rest = name.partition(".")
        ways = [f"{first}(x) := 1", f"import data.remediation.plan as {first}", f"import input.{first}"]
        if name not in builtins.PERMITTED:
            ways += [f"y := {name}(1) if true", f"y if {name}(1) = 2", f"y := 1 if {{ {name}(1) }}", f"y if not {name} (1)"]
            ways += [f'y := {first}["{rest}"](1)'] if rest else []
        if any(not _refused(way) for way in ways):
            let_in.append(name)
    assert let_in == []
    assert all(_refused(f"import future.keywords.{word}") for word in capabilities.get("future_keywords", ()))


def test_the_shipped_rules_are_strict_in_the_servers_own_eyes() -> None:
    done = subprocess.run(
        [program("opa"), "check", "--strict", str(policies_folder())], capture_output=True, check=False, timeout=60, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def engines(opa_server: OpaServer) -> Iterator[tuple[Engine, Engine]]:
    """By a rule of its own: what a text of the input is, beside one of the data and one that the rule holds."""
    written = ", ".join(json.dumps(text, ensure_ascii=False) for text in WRITTEN)
    rule = f"""package remediation

decision := {{
	"same": data.platform.custom.texts[input.place] == input.text,
	"listed": input.text in data.platform.custom.texts,
	"key": object.get(data.platform.custom.keys, input.text, "none"),
	"index": count([1 | data.platform.custom.keys[input.text]]),
	"begins": startswith(input.text, data.platform.custom.texts[input.place]),
	"written": input.text in [{written}],
	"text": input.text,
	"kept": data.platform.custom.texts[input.place],
}}
"""
    builtins.check((("remediation/decision.rego", rule),))
    custom: dict[str, Json] = {"texts": [*TEXTS], "keys": dict.fromkeys(TEXTS, "yes")}
    bundle = assemble((("remediation/decision.rego", rule),), merged(SHIPPED.raw_data, {"custom": custom}))
    embedded, server = EmbeddedEngine(bundle, seconds=20), OpaEngine(bundle, opa_server.url, seconds=20)
    yield embedded, server
    embedded.close()
    server.close()


@pytest.mark.parametrize("text", TEXTS, ids=[ascii(text) for text in TEXTS])
def test_a_text_is_the_same_text_to_both_engines_wherever_it_comes_from(text: str, engines: tuple[Engine, Engine]) -> None:
    """Or a fence with an accent, a quote or a second line in it would be none."""
    document: dict[str, Json] = {"text": text, "place": TEXTS.index(text)}
    said = {
        "same": True,
        "listed": True,
        "key": "yes",
        "index": 1,
        "begins": True,
        "written": text in WRITTEN,
        "text": text,
        "kept": text,
    }

    here, there = (engine.ask(document) for engine in engines)

    assert here == there == said

"""The engine in this process: regopy (rego-cpp), built once per bundle. The only door to regopy."""

import json
import re
import threading

from regopy import Interpreter, LogLevel, RegoError

from sidecar.contract import Json
from sidecar.errors import BundleRefused, PolicyUnavailable
from sidecar.policy.bundle import PolicyBundle
from sidecar.policy.engine import RULE, SECONDS, Patience

_FAULT = re.compile(r"\(error \d+:([^|]*)\|[^(]*\(errormsg \d+:([^)]*)\)")


class EmbeddedEngine:
    """Strict: a built-in that fails is an error here and not "undefined", which in a guard would open the gate."""

    def __init__(self, bundle: PolicyBundle, *, seconds: float = SECONDS) -> None:
        """Raises BundleRefused when the modules do not compile."""
        self._revision = bundle.revision
        self._seconds = seconds
        self._patience = Patience(seconds)
        self._one_at_a_time = threading.Lock()
        self._interpreter = Interpreter()
        self._interpreter.log_level = LogLevel.NONE  # it prints to standard output otherwise
        self._interpreter.strict_built_in_errors = True
        try:
            for path, text in bundle.modules:
                self._interpreter.add_module(path, text)
            self._interpreter.add_data_json(json.dumps(bundle.data))
            self._program = self._interpreter.build(f"answer := {RULE}")
        except RegoError as exc:
            raise BundleRefused(f"the policy does not compile: {_one_line(exc)}") from exc
        if not self._program.ok():
            raise BundleRefused("the policy does not compile on the embedded engine")

    @property
    def revision(self) -> str:
        return self._revision

    def ask(self, document: dict[str, Json]) -> Json:
        if _holds_nul(document):
            raise PolicyUnavailable("the embedded engine cannot read a text with a NUL character")
        return self._patience.run(lambda: self._evaluate(document))

    def _evaluate(self, document: dict[str, Json]) -> Json:
        if not self._one_at_a_time.acquire(timeout=self._seconds):
            raise PolicyUnavailable("the embedded engine is busy with another question")
        try:
            self._interpreter.set_input(document)
            output = self._interpreter.query_bundle(self._program)
            if not output.ok():
                raise PolicyUnavailable(f"the embedded engine failed: {_one_line(output)}")
            return _answer(str(output))
        except (RegoError, ValueError, TypeError, RecursionError) as exc:
            raise PolicyUnavailable(f"the embedded engine failed: {_one_line(exc)}") from exc
        finally:
            self._one_at_a_time.release()


def _answer(text: str) -> Json:
    """{"expressions": [true], "bindings": {"answer": ...}}; anything else is no answer."""
    try:
        output = json.loads(text)
        answer: Json = output["bindings"]["answer"]
    except (ValueError, KeyError, TypeError):
        raise PolicyUnavailable(f"the rule {RULE} is undefined") from None
    return answer


def _holds_nul(value: Json) -> bool:
    """C strings end at NUL: what stands behind it would never be judged."""
    stack: list[Json] = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str) and "\0" in item:
            return True
        if isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            stack.extend(item.values())
            stack.extend(item)
    return False


def _one_line(error: object) -> str:
    """rego-cpp answers with a syntax tree; the file and the message in it are what a person needs."""
    text = str(error)
    found = [f"{file}: {said}" for file, said in _FAULT.findall(text)]
    return "; ".join(dict.fromkeys(found))[:300] or " ".join(text.split())[:300]

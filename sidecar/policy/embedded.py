"""The program around regopy (rego-cpp), run as a process of its own by `sidecar.policy.caged`. The only door to regopy.

It imports nothing else of ours: it is started by its path, with an empty environment, and reads one JSON value a line.
First {"modules": [[path, text], ...], "data": {...}, "query": "data.x.y"}, answered by {"ready": true}, by {"refused": why} or by
{"missing": why} where regopy cannot be loaded; then documents, each answered by {"answer": value}, {"undefined": true} or
{"failed": why}.
"""

import contextlib
import json
import os
import re
import resource
import sys
from typing import IO, Any

# rego-cpp says what is wrong with a syntax tree of pages; file and message are what a person needs.
_FAULT = re.compile(r"\(error \d+:([^|]*)\|[^(]*\(errormsg \d+:([^)]*)\)")


def main(site: str) -> None:
    """`site`: the folder that regopy is installed in."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever the engine prints must not become an answer
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # rego-cpp's allocator reserves more address space than any limit could allow it; so, when memory runs out, this first.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
        score.write("1000")
    sys.path.append(site)
    serve(sys.stdin, answers)


def serve(questions: IO[str], answers: IO[str]) -> None:
    def say(**message: Any) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    try:
        from regopy import Interpreter, LogLevel, RegoError  # noqa: PLC0415  found only after main() has set the path
    except (ImportError, OSError) as exc:  # its wheel leaves libatomic, which slim images come without, to the system
        say(missing=_one_line(exc))
        return
    bundle = json.loads(questions.readline())
    interpreter = Interpreter()
    interpreter.log_level = LogLevel.NONE
    # A built-in that fails is an error and not "undefined", which in a guard would open the gate.
    interpreter.strict_built_in_errors = True
    try:
        for path, text in bundle["modules"]:
            interpreter.add_module(path, text)
        # As it stands, since what is written as an escape would be held to be other characters than those of the input.
        interpreter.add_data_json(json.dumps(bundle["data"], ensure_ascii=False))
        program = interpreter.build(f"answer := {bundle['query']}")
    except RegoError as exc:
        say(refused=_one_line(exc))
        return
    if not program.ok():
        say(refused="a rule does not compile")
        return
    say(ready=True)
    for line in questions:
        try:
            document = json.loads(line)
            interpreter.set_input(_as_written(document) if "\\" in line else document)
            output = interpreter.query_bundle(program)
            if not output.ok():
                say(failed="a built-in failed, or two rules disagree")
                continue
            bindings = json.loads(str(output)).get("bindings", {}) if str(output) != "undefined" else {}
            say(**({"answer": bindings["answer"]} if "answer" in bindings else {"undefined": True}))
        except (RegoError, ValueError, TypeError, AttributeError, RecursionError) as exc:
            say(failed=_one_line(exc))


def _as_written(value: Any) -> Any:
    """With texts as they stand in JSON. rego-cpp keeps those of modules and data so, with their escapes, and those of the input
    without: a quote, a backslash or a line's end in both would not be the same text."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)[1:-1]
    if isinstance(value, list):
        return [_as_written(item) for item in value]
    if isinstance(value, dict):
        return {_as_written(key): _as_written(item) for key, item in value.items()}
    return value


def _one_line(error: object) -> str:
    text = str(error)
    found = [f"{file}: {said}" for file, said in _FAULT.findall(text)]
    return "; ".join(dict.fromkeys(found))[:300] or " ".join(text.split())[:300]


if __name__ == "__main__":
    main(sys.argv[1])

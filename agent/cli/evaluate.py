"""`lestrade eval`: recordings, their copies and variants, and the laboratory's scenarios, judged by their truth; one table."""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson

from agent.cli.terminal import settings_from
from agent.cli.trials import planted as planted_scenario
from agent.cli.trials import trial
from agent.errors import InputError, LestradeError
from agent.evaluation.answers import OFFLINE, Answer, Asked, answers, with_model
from agent.evaluation.comparing import Comparison, compared, comparisons
from agent.evaluation.judging import Mark, changes, mark
from agent.evaluation.truth import SNAPSHOT, TRUTH, read_truth, recordings
from agent.evaluation.variants import VARIANTS, Case, Variant, everything, planted
from agent.rendering.safety import one_line
from agent.runbooks import Library, load_library
from agent.toolsets.snapshot import load
from lab.scenarios import load as load_scenario
from lab.scenarios import names as scenario_names

HEADS = ("incident", "asked", "cause", "resource", "prec.", "claims", "left alone", "remedy", "unsafe", "seconds")
WIDTHS = (28, 9, 6, 9, 6, 7, 11, 7, 7, 8)
HEADS_OF_MODEL, WIDTHS_OF_MODEL = ("model", "calls", "tokens", "cost", "no answer"), (7, 6, 8, 8, 16)
WITH_MODEL = " +model"
MOST_NAMES = 10  # of incidents in one line

Asking = Mapping[str, object] | None
"""Settings of a model; None: none is asked."""


@dataclass
class Results:
    """`copies` and `variants`: name of the copy -> answers looked at, and what was not right, in words."""

    marks: list[Mark] = field(default_factory=list)
    copies: dict[str, tuple[int, list[str]]] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        return not any(one.wrong for one in self.marks) and not any(wrong for _, wrong in self.copies.values())


def evaluate(
    folder: Path | None,
    *,
    only: Sequence[str],
    lab: bool,
    copies: bool | None,
    model: str,
    as_json: bool,
    config: Path | None,
) -> int:
    """Exit code 0: every answer is right, and no copy changed one; else 1. `copies` None: where no model is asked. With a
    `model` everything is answered twice, without it and with it."""
    settings = settings_from(config)
    chosen = folder or settings.recordings
    names = recordings(chosen) if chosen is not None else ()
    known = {*names, *(scenario_names() if lab else ())}
    if unknown := [name for name in only if name not in known]:
        raise InputError(f"there is no recording or scenario {one_line(unknown[0])[:60]}")
    if chosen is None and not lab:
        raise InputError("nothing to judge: no recordings (`lestrade eval DIR`, or LESTRADE_RECORDINGS), and not the laboratory")
    if chosen is None:
        _say("no recordings: give their folder (`lestrade eval DIR`, or LESTRADE_RECORDINGS); the laboratory's scenarios only")
    results, library = Results(), load_library(settings.runbooks)
    told = _Table(quiet=as_json, with_model=bool(model))
    wanted = copies if copies is not None else not model
    asked = with_model(settings, model) if model else None
    for name in names:
        if chosen is not None and (not only or name in only):
            _recording(chosen, name, library, results, told, copies=wanted, model=asked)
    for name in scenario_names() if lab else ():
        if not only or name in only:
            _scenario(name, results, told, copies=wanted, model=asked)
    if as_json:
        sys.stdout.write(orjson.dumps(_document(results), option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        _finish(results)
    return 0 if results.is_good else 1


def _recording(
    folder: Path, name: str, library: Library, results: Results, told: "_Table", *, copies: bool, model: Asking
) -> None:
    truth = read_truth(folder / f"{name}{TRUTH}")
    case = Case(snapshot=load(folder / f"{name}{SNAPSHOT}"), truth=truth)
    straight = _answered(case, library)
    for asked, answer in straight:
        results.marks.append(mark(truth, answer, asked))
        told.row(results.marks[-1])
    for asked, answer in _answered(case, library, model=model) if model is not None else ():
        results.marks.append(mark(truth, answer, f"{asked}{WITH_MODEL}"))
        told.row(results.marks[-1])
    if not copies:
        return
    copy = planted(case, _dice(name))
    for (asked, before), (_, after) in zip(straight, _answered(copy, library), strict=True):
        wrong = [*changes(before, after), *mark(copy.truth, after, asked).wrong]
        _count(results, "planted", f"{name} ({asked})", wrong)
    for variant, change in (*VARIANTS.items(), ("all at once", everything)):
        _varied(case, name, variant, change, library, results)


def _varied(case: Case, name: str, variant: str, change: Variant, library: Library, results: Results) -> None:
    told = change(case, _dice(f"{name} {variant}"))
    ((asked, answer),) = _answered(told, library, alerts=False)
    _count(results, variant, f"{name} ({asked})", list(mark(told.truth, answer, asked).wrong))


def _dice(name: str) -> random.Random:
    """The same for the same name, so that an evaluation can be repeated."""
    return random.Random(name)  # noqa: S311  nothing here is a secret


def _answered(case: Case, library: Library, *, alerts: bool = True, model: Asking = None) -> list[tuple[str, Answer]]:
    asked = [("question", Asked(question=case.truth.question))]
    if case.truth.alerts and alerts:
        asked.append(("alert", Asked(alerts=case.truth.alerts)))
    found = asyncio.run(answers(case.snapshot, [one for _, one in asked], library=library, model=model or OFFLINE))
    return [(name, answer) for (name, _), answer in zip(asked, found, strict=True)]


def _scenario(name: str, results: Results, told: "_Table", *, copies: bool, model: Asking) -> None:
    scenario = load_scenario(name)
    results.marks.append(_tried(lambda: trial(scenario), name))
    told.row(results.marks[-1])
    if model is not None:
        results.marks.append(_tried(lambda: trial(scenario, f"scenario{WITH_MODEL}", model), name))
        told.row(results.marks[-1])
    if copies:
        after = _tried(lambda: trial(planted_scenario(scenario)), name)
        _count(results, "planted (laboratory)", name, list(after.wrong))


def _tried(play: Callable[[], Mark], name: str) -> Mark:
    """A scenario that could not be played to its end is a wrong answer, and the others are still played."""
    try:
        return play()
    except LestradeError as exc:
        return Mark(
            name=name, asked="scenario", outcome="failed", cause_right=False, resource_right=False, precision=0.0, wrong_claims=0,
            left_alone=None, remedy_acceptable=False, remedy_unsafe=0, seconds=0.0, wrong=(f"could not be played: {exc}",),
        )  # fmt: skip


def _count(results: Results, copy: str, name: str, wrong: Sequence[str]) -> None:
    looked, found = results.copies.get(copy, (0, []))
    results.copies[copy] = (looked + 1, [*found, *(f"{name}: {one}" for one in wrong)])


class _Table:
    """Rows as they come: an evaluation takes minutes."""

    def __init__(self, *, quiet: bool, with_model: bool = False) -> None:
        self._quiet = quiet
        self._with_model = with_model
        self._has_head = False
        self._before: dict[tuple[str, str], Mark] = {}

    def row(self, one: Mark) -> None:
        if self._quiet:
            return
        if not self._has_head:
            self._has_head = True
            _line(*self._row(HEADS, HEADS_OF_MODEL))
        before = self._before.get((one.name, one.asked.removesuffix(WITH_MODEL)))
        self._before[(one.name, one.asked)] = one
        _line(*self._row(_cells(one), _spent(one, before)))
        for wrong in one.wrong:
            print(f"{'':<6}! {one_line(wrong)[:180]}")

    def _row(self, cells: Sequence[str], more: Sequence[str]) -> tuple[Sequence[str], Sequence[int]]:
        if not self._with_model:
            return cells, WIDTHS
        return (*cells, *more), (WIDTHS[0], WIDTHS[1] + len(WITH_MODEL), *WIDTHS[2:], *WIDTHS_OF_MODEL)


def _spent(one: Mark, before: Mark | None) -> tuple[str, ...]:
    if WITH_MODEL not in one.asked:
        return "-", "-", "-", "-", ""
    verdict = compared(before, one).verdict if before is not None else "-"
    return verdict, str(one.spent.calls), str(one.spent.tokens), f"{one.spent.cost:.4f}", one.spent.reason


def _cells(one: Mark) -> tuple[str, ...]:
    precision = "-" if one.precision is None else f"{one.precision:.2f}"
    return (
        one.name, one.asked, _word(one.cause_right), _word(one.resource_right), precision, str(one.wrong_claims),
        _word(one.left_alone), _word(one.remedy_acceptable), str(one.remedy_unsafe), f"{one.seconds:.2f}",
    )  # fmt: skip


def _line(cells: Sequence[str], widths: Sequence[int]) -> None:
    print(" ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip(), flush=True)


def _word(value: bool | None) -> str:
    return {True: "right", False: "WRONG", None: "-"}[value]


def _finish(results: Results) -> None:
    print()
    for words in _totals(results.marks):
        print(words)
    for words in _of_the_model(comparisons(results.marks, WITH_MODEL)):
        print(words)
    for copy, (looked, wrong) in results.copies.items():
        names = {one.split(":")[0] for one in wrong}
        what = "unchanged" if copy.startswith("planted") else "right"
        print(f"{copy:<22} {looked - len(names)} of {looked} answers {what}")
        for one in wrong:
            print(f"{'':<6}! {one_line(one)[:200]}")


def _totals(marks: Sequence[Mark]) -> Iterator[str]:
    kinds = ("question", "alert", "scenario")
    for kind in (*kinds, *(f"{one}{WITH_MODEL}" for one in kinds)):
        ones = [one for one in marks if one.asked == kind]
        if not ones:
            continue
        precise = [one.precision for one in ones if one.precision is not None]
        told = (
            f"cause right {_share([one.cause_right for one in ones])}",
            f"resource right {_share([one.resource_right for one in ones])}",
            f"precision {sum(precise) / max(1, len(precise)):.2f}",
            f"wrong claims {sum(one.wrong_claims for one in ones)}",
            f"healthy left alone {_share([one.left_alone for one in ones])}",
            f"remedy acceptable {_share([one.remedy_acceptable for one in ones])}",
            f"remedy unsafe {sum(one.remedy_unsafe for one in ones)}",
            f"median {sorted(one.seconds for one in ones)[len(ones) // 2]:.2f} s",
            *(_bill(ones) if WITH_MODEL in kind else ()),
        )
        yield f"{kind.replace(WITH_MODEL, '') + 's' + (WITH_MODEL if WITH_MODEL in kind else ''):<16} {', '.join(told)}"


def _of_the_model(found: Sequence[Comparison]) -> Iterator[str]:
    """How often it changed the outcome, what it took longer, and where, for better and for worse."""
    if not found:
        return
    counted = Counter(one.verdict for one in found)
    longer = sorted(one.seconds for one in found)[len(found) // 2]
    told = ", ".join(f"{counted[verdict]} {verdict}" for verdict in ("better", "worse", "both", "same"))
    yield f"{'the model':<16} {told} of {len(found)} answers; median {longer:+.2f} s"
    alike: dict[tuple[str, str], dict[str, list[str]]] = {}
    for one in found:
        if one.verdict != "same":
            parts = [f"gains {', '.join(one.gained)}"] if one.gained else []
            parts += [f"loses {', '.join(one.lost)}"] if one.lost else []
            alike.setdefault((one.verdict, "; ".join(parts)), {}).setdefault(one.name, []).append(one.asked)
    for (verdict, what), names in alike.items():
        where = [f"{one_line(name)} ({', '.join(asked)})" for name, asked in names.items()]
        more = f", and {len(where) - MOST_NAMES} more (--json has all)" if len(where) > MOST_NAMES else ""
        times = sum(map(len, names.values()))
        yield f"{'':<6}{verdict:<7} {times} time{'s' if times > 1 else ''} {what}: {', '.join(where[:MOST_NAMES])}{more}"


def _bill(ones: Sequence[Mark]) -> tuple[str, ...]:
    silent = sum(bool(one.spent.reason) for one in ones)
    return (
        f"{sum(one.spent.calls for one in ones)} answers of the model",
        f"{sum(one.spent.tokens for one in ones)} tokens",
        f"cost {sum(one.spent.cost for one in ones):.4f}",
        *((f"{silent} times no answer that counts",) if silent else ()),
    )


def _share(values: Sequence[bool | None]) -> str:
    told = [value for value in values if value is not None]
    return f"{sum(told)}/{len(told)}"


def _document(results: Results) -> dict[str, object]:
    return {
        "good": results.is_good,
        "rows": [asdict(one) for one in results.marks],
        "model": [{**asdict(one), "verdict": one.verdict} for one in comparisons(results.marks, WITH_MODEL)],
        "copies": {name: {"answers": looked, "wrong": wrong} for name, (looked, wrong) in results.copies.items()},
    }


def _say(text: str) -> None:
    print(f"lestrade: {text}", file=sys.stderr)

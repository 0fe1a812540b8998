"""What a model may cost: per run and per day, in answers, tokens, money and time. Pure; the clock and the sums come in."""

from collections.abc import Mapping
from dataclasses import dataclass

from agent.errors import InputError
from agent.ports.model import Spent, Usage

RESERVED = 1  # answers kept back for the conclusion
BYTES_PER_TOKEN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Money per million tokens."""

    prompt: float = 0.0
    completion: float = 0.0

    def of(self, usage: Usage) -> float:
        return (usage.prompt * self.prompt + usage.completion * self.completion) / 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Leash:
    """Limits of a run and of 24 hours; `price` is the model's."""

    run_calls: int = 24
    run_tokens: int = 400_000
    run_cost: float = 2.0
    run_seconds: float = 300.0
    day_tokens: int = 10_000_000
    day_cost: float = 50.0
    price: Price = Price()
    context_tokens: int = 100_000
    answer_tokens: int = 8000
    parallel: int = 4
    cache_minutes: int = 30
    hide_names: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What one run spent so far. `seconds` is time spent waiting for the model and its tools."""

    calls: int = 0
    tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0

    def plus(self, usage: Usage, price: Price, seconds: float) -> "Bill":
        tokens = usage.prompt + usage.completion
        return Bill(
            calls=self.calls + 1,
            tokens=self.tokens + tokens,
            cost=self.cost + price.of(usage),
            seconds=self.seconds + seconds,
        )

    def later(self, seconds: float) -> "Bill":
        return Bill(calls=self.calls, tokens=self.tokens, cost=self.cost, seconds=self.seconds + seconds)


def over(bill: Bill, day: Spent, leash: Leash) -> str:
    """Which limit is reached, in words, or ""."""
    if bill.calls >= leash.run_calls:
        return f"{leash.run_calls} answers in one run are the most"
    if bill.tokens >= leash.run_tokens:
        return f"{leash.run_tokens} tokens in one run are the most"
    if leash.price != Price() and bill.cost >= leash.run_cost:
        return f"{leash.run_cost:g} for one run is the most"
    if bill.seconds >= leash.run_seconds:
        return f"{leash.run_seconds:g} s in one run are the most"
    if day.tokens >= leash.day_tokens:
        return f"{leash.day_tokens} tokens in 24 hours are the most"
    if leash.price != Price() and day.cost >= leash.day_cost:
        return f"{leash.day_cost:g} for 24 hours is the most"
    return ""


def most_of_a_day(leash: Leash) -> Spent:
    return Spent(tokens=leash.day_tokens, cost=leash.day_cost if leash.price != Price() else float("inf"))


def at_most(prompt_bytes: int, leash: Leash) -> Spent:
    """What one answer may cost at most: three bytes make a token where there are many, and it may be as long as it may be."""
    usage = Usage(prompt=prompt_bytes // BYTES_PER_TOKEN + 1, completion=leash.answer_tokens)
    return Spent(tokens=usage.prompt + usage.completion, cost=leash.price.of(usage))


def is_last(bill: Bill, next_tokens: int, leash: Leash, day: Spent | None = None) -> bool:
    """Whether the next answer has to be the conclusion, because there may be none after it."""
    if day is not None and day.tokens + 2 * next_tokens >= leash.day_tokens:
        return True
    if day is not None and leash.price != Price() and day.cost + 2 * leash.price.of(Usage(prompt=next_tokens)) >= leash.day_cost:
        return True
    if bill.calls + RESERVED >= leash.run_calls or bill.seconds >= 0.8 * leash.run_seconds:
        return True
    if bill.tokens + 2 * next_tokens >= leash.run_tokens:
        return True
    return leash.price != Price() and bill.cost + 2 * leash.price.of(Usage(prompt=next_tokens)) >= leash.run_cost


def read_prices(text: str) -> Mapping[str, Price]:
    """ "gpt-x=1.25/10, local=0/0" by model. Raises InputError that names the entry."""
    found = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        model, _, pair = entry.rpartition("=")
        try:
            prompt, completion = (float(part) for part in pair.split("/"))
        except ValueError:
            prompt = completion = -1.0
        if not model or not 0 <= prompt < 1e6 or not 0 <= completion < 1e6:
            raise InputError(f"model_prices: {entry[:80]!r} is no MODEL=INPUT/OUTPUT (money per million tokens)")
        found[model.strip()] = Price(prompt=prompt, completion=completion)
    return found

"""What a language model made of an investigation, beside the diagnosis: its words, marked as such, and what was not believed."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """`outcome` answered: the whole of it. partial: it was ended before it was done. unavailable: no answer that counts.

    `reason` is one of agent.ports.model.REASONS with `why` in words, both "" where it was answered. `said` are the model's own
    words, masked and escaped; `inference` what it concludes without having seen it; `disagreements` where it and the checks
    differ, with the evidence of both; `dropped` the claims that were not kept, and why. `cost` is by the price table of the
    settings. `cached`: concluded in an earlier run of the same findings, and nothing was asked.
    """

    model: str
    outcome: Literal["answered", "partial", "unavailable"]
    reason: str = ""
    why: str = ""
    said: str = ""
    agrees: bool | None = None  # with the checks; None: it said nothing that counts
    inference: tuple[str, ...] = ()
    disagreements: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    unknowns: tuple[str, ...] = ()
    calls: int = 0
    tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    cached: bool = False

"""From an approved action to the requests that carry it out, and back again. Compiling is pure; only `cluster` has a wire."""

from sidecar.execution.compile import calls_for, undo_calls
from sidecar.execution.effect import Effect, Unfit, effect_of, projected
from sidecar.execution.live import Live, foreseen, look, look_back, read
from sidecar.execution.looks import Looks
from sidecar.execution.observed import observed
from sidecar.execution.preview import hides_nothing, masked, masked_at, preview_of
from sidecar.execution.recent import Recent
from sidecar.execution.recover import arrived
from sidecar.visible import escaped

__all__ = [
    "Effect",
    "Live",
    "Looks",
    "Recent",
    "Unfit",
    "arrived",
    "calls_for",
    "effect_of",
    "escaped",
    "foreseen",
    "hides_nothing",
    "look",
    "look_back",
    "masked",
    "masked_at",
    "observed",
    "preview_of",
    "projected",
    "read",
    "undo_calls",
]

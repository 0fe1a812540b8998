"""Kubernetes quantities as whole numbers. Pure. Source: apimachinery, pkg/api/resource, "Quantity"."""

import re
from fractions import Fraction

from sidecar.contract import Json

_QUANTITY = re.compile(r"^(\d{1,18}(?:\.\d{0,9})?|\.\d{1,9})(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?\d{1,2})?$")
_BINARY: dict[str, int] = {suffix: 2 ** (10 * power) for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_MEBI = 1024**2


class UnreadableQuantity(ValueError):
    """A text that Kubernetes would not take for an amount either."""


def millis(value: Json) -> int:
    """CPU in thousandths, rounded up; nothing is none. Raises UnreadableQuantity."""
    return _up(_amount(value) * 1000)


def mebibytes(value: Json) -> int:
    """Memory or storage in MiB, rounded up; nothing is none. Raises UnreadableQuantity."""
    return _up(_amount(value) / _MEBI)


def _amount(value: Json) -> Fraction:
    if value is None:
        return Fraction(0)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UnreadableQuantity("an amount is a text or a number")
    match = _QUANTITY.match(str(value))
    if match is None:
        raise UnreadableQuantity("an amount that cannot be read")
    number, suffix = Fraction(str(match[1])), match[2] or ""
    if suffix in _BINARY:
        return number * Fraction(_BINARY[suffix])
    exponent = _DECIMAL.get(suffix, int(suffix[1:]) if suffix[:1] in ("e", "E") and suffix[1:] else 0)
    scale: Fraction = Fraction(10) ** exponent
    return number * scale


def _up(amount: Fraction) -> int:
    return -int(-amount // 1)

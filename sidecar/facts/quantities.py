"""Kubernetes quantities as whole numbers. Pure. Source: apimachinery, pkg/api/resource, "Quantity"."""

import re

from sidecar.contract import Json

_QUANTITY = re.compile(r"^(\d{1,18}(?:\.\d{0,9})?|\.\d{1,9})(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?\d{1,2})?$")
_BINARY = {suffix: 10 * power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_MEBI = 1024**2


class UnreadableQuantity(ValueError):
    """A text that Kubernetes would not take for an amount either."""


def millis(value: Json) -> int:
    """CPU in thousandths, rounded up; nothing is none. Raises UnreadableQuantity."""
    amount, per = _amount(value)
    return -(-amount * 1000 // per)


def mebibytes(value: Json) -> int:
    """Memory or storage in MiB, rounded up; nothing is none. Raises UnreadableQuantity."""
    amount, per = _amount(value)
    return -(-amount // (per * _MEBI))


def _amount(value: Json) -> tuple[int, int]:
    """As a whole number, and by what it is to be divided: exact, where a float is not."""
    if value is None:
        return 0, 1
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UnreadableQuantity("an amount is a text or a number")
    match = _QUANTITY.match(str(value))
    if match is None:
        raise UnreadableQuantity("an amount that cannot be read")
    whole, _, places = match[1].partition(".")
    digits, suffix = int(whole + places), match[2] or ""
    if suffix in _BINARY:
        return digits << _BINARY[suffix], 10 ** len(places)
    exponent = _DECIMAL.get(suffix, int(suffix[1:]) if suffix[:1] in ("e", "E") and suffix[1:] else 0) - len(places)
    return (digits * 10**exponent, 1) if exponent >= 0 else (digits, 10**-exponent)

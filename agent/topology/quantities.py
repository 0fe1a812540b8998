"""Kubernetes quantities ("128Mi", "250m", "1.5", "1e3") as numbers and back."""

import math
import re
from typing import Any

_SUFFIX = {
    "": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60,
}  # fmt: skip
_QUANTITY = re.compile(r"^([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([numkKMGTPE]?i?)$")


def quantity(value: Any) -> float | None:
    """The number a quantity means (bytes, cores, pieces), or None if it is none."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value)
    match = _QUANTITY.match(str(value).strip())
    if match is None or match[2] not in _SUFFIX:
        return None
    try:
        return float(match[1]) * _SUFFIX[match[2]]
    except ValueError:
        return None


def spoken(amount: float, like: Any = "") -> str:
    """`amount` written as a quantity, rounded up, in the unit family of `like` (so that 2 x 128Mi reads 256Mi)."""
    match = _QUANTITY.match(str(like).strip())
    suffix = match[2] if match else ""
    if suffix.endswith("i"):
        for unit in ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki"):
            if amount >= _SUFFIX[unit] and amount % _SUFFIX[unit] == 0:
                return f"{int(amount // _SUFFIX[unit])}{unit}"
        return f"{math.ceil(amount / _SUFFIX[suffix])}{suffix}"
    if suffix == "m" or (amount != int(amount) and amount < 1000):
        thousandths = math.ceil(amount * 1000 - 1e-6)
        return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)
    if suffix in ("k", "M", "G", "T", "P", "E"):
        return f"{math.ceil(amount / _SUFFIX[suffix])}{suffix}"
    return str(math.ceil(amount))

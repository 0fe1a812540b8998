"""Quantities of resources: exact numbers, and the canonical text that a server answers with."""

import re
from decimal import Decimal, InvalidOperation

_SUFFIXES = {"": Decimal(1), "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3")}
_SUFFIXES |= {suffix: Decimal(10) ** (3 * i) for i, suffix in enumerate("kMGTPE", start=1)}
_SUFFIXES |= {f"{suffix}i": Decimal(2) ** (10 * i) for i, suffix in enumerate("KMGTPE", start=1)}
_PARTS = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))((?:[eE][+-]?\d+)|[numkMGTPE]|[KMGTPE]i)?$")
_BINARY = ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki")
_DECIMAL = ("E", "P", "T", "G", "M", "k", "", "m", "u", "n")


def parse(text: str | int | float) -> Decimal:
    """ValueError for what is no quantity."""
    match = _PARTS.match(str(text).strip())
    if not match:
        raise ValueError(f"no quantity: {text!r}")
    number, suffix = match.group(1), match.group(2) or ""
    try:
        if suffix[:1] in ("e", "E") and len(suffix) > 1 and suffix != "Ei":
            return Decimal(number + suffix)
        return Decimal(number) * _SUFFIXES[suffix]
    except InvalidOperation as exc:
        raise ValueError(f"no quantity: {text!r}") from exc


def canonical(text: str) -> str:
    """As `resource.Quantity` writes it: no fraction, the largest suffix of the same family, sums stay exact."""
    match = _PARTS.match(text.strip())
    if not match:
        return text
    suffix = match.group(2) or ""
    if suffix[:1] in ("e", "E") and len(suffix) > 1 and suffix != "Ei":
        return text
    return shown(parse(text), binary=suffix.endswith("i"))


def shown(value: Decimal, *, binary: bool) -> str:
    if value == 0:
        return "0"
    if binary and value == value.to_integral_value():
        for suffix in _BINARY:
            if value % _SUFFIXES[suffix] == 0:
                return f"{int(value / _SUFFIXES[suffix])}{suffix}"
        return str(int(value))
    for suffix in _DECIMAL:
        scaled = value / _SUFFIXES[suffix]
        if scaled == scaled.to_integral_value():
            return f"{int(scaled)}{suffix}"
    return f"{int((value / _SUFFIXES['n']).to_integral_value(rounding='ROUND_CEILING'))}n"


def is_binary(text: str) -> bool:
    return text.endswith("i")

"""Amounts as Kubernetes writes them, as whole numbers that are never too small."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.facts.quantities import UnreadableQuantity, mebibytes, millis


@pytest.mark.parametrize(
    ("written", "thousandths"),
    [("100m", 100), ("2", 2000), (2, 2000), ("1.5", 1500), (".5", 500), ("1u", 1), ("1n", 1), ("1k", 1_000_000), (None, 0)],
)
def test_cpu_is_told_in_thousandths_rounded_up(written, thousandths):
    assert millis(written) == thousandths


@pytest.mark.parametrize(
    ("written", "mebi"),
    [
        ("1Gi", 1024),
        ("128Mi", 128),
        ("1.5Gi", 1536),
        ("1Ki", 1),
        ("1M", 1),
        ("64M", 62),
        ("1e9", 954),
        (1, 1),
        ("0", 0),
        (None, 0),
    ],
)
def test_memory_is_told_in_mebibytes_rounded_up(written, mebi):
    assert mebibytes(written) == mebi


@pytest.mark.parametrize("written", ["", "much", "-1", "1mi", "1 Gi", "1e", "1e999", True, [], {"value": 1}, float("nan")])
def test_what_kubernetes_would_not_take_is_no_amount(written):
    with pytest.raises(UnreadableQuantity):
        mebibytes(written)


SCALES = {
    "": 1,
    "n": Fraction(1, 10**9),
    "m": Fraction(1, 1000),
    "k": 1000,
    "E": 10**18,
    "Ki": 1024,
    "Ei": 2**60,
    "e-3": Fraction(1, 1000),
}


@given(st.from_regex(r"\A[0-9]{1,18}(\.[0-9]{0,9})?\Z"), st.sampled_from(sorted(SCALES)))
def test_the_amount_is_exact_however_large_or_small(number, suffix):
    exact = Fraction(number + "0" if number.endswith(".") else number) * SCALES[suffix]

    assert millis(number + suffix) - 1 < exact * 1000 <= millis(number + suffix)
    assert mebibytes(number + suffix) - 1 < exact / 2**20 <= mebibytes(number + suffix)

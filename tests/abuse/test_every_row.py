"""No row of the abuse list without a test, and the matrix that is published names the tests that there are."""

import re

import pytest

from tests.abuse.found import by_row
from tests.abuse.matrix import PAGE
from tests.abuse.rows import NOT_APPLICABLE, RISKS, ROWS

FOUND = by_row()


@pytest.mark.parametrize("row", ROWS)
def test_every_row_has_a_test_or_a_reason_why_it_cannot_apply(row):
    assert (row in FOUND) != (row in NOT_APPLICABLE), FOUND.get(row)
    assert set(ROWS[row][1]) <= set(RISKS)


def test_no_test_names_a_row_that_is_none():
    assert set(FOUND) <= set(ROWS)
    assert set(NOT_APPLICABLE) <= set(ROWS)
    assert all(len(reason) > 20 for reason in NOT_APPLICABLE.values())


def test_every_risk_has_rows():
    assert {risk for _, risks in ROWS.values() for risk in risks} == set(RISKS)


def test_the_published_matrix_names_exactly_these_tests_and_none_that_failed():
    page = PAGE.read_text(encoding="utf-8")
    listed = set(re.findall(r"`(test_[A-F]\d{1,2}_\w+)`", page))

    assert listed == {name.partition("::")[2] for names in FOUND.values() for name in names}, "make owasp writes it anew"
    assert "failed" not in page

"""`python -m tests.bench [ROW ...]`: exit 0 always but for a wrong name; the table says what is over its budget."""

import sys

import pytest

from tests.bench.measure import NotYet, Row, not_yet, show
from tests.bench.rows import ROWS


def main(wanted: list[str]) -> int:
    unknown = [name for name in wanted if name not in ROWS]
    if unknown:
        print(f"no such row: {', '.join(unknown)} (there are: {', '.join(ROWS)})", file=sys.stderr)
        return 2
    rows: list[Row] = []
    for name in wanted or list(ROWS):
        print(f"measuring {name} ...", file=sys.stderr)
        try:
            measured = ROWS[name]()
            rows += measured if isinstance(measured, list) else [measured]
        except (NotYet, pytest.skip.Exception) as exc:  # a server that is not there is named in its row, as a test names it
            rows.append(not_yet(name, "", str(exc)))
    show(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The budgets of the design, measured: `python -m tests.bench [ROW ...]`. Nothing here passes or fails a test."""

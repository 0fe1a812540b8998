"""Fixtures that every test may use, and the search for garbage: rare, and not among what stays for the whole run."""

import gc

gc.set_threshold(10_000, 20, 20)  # collecting tests makes objects and no garbage


def pytest_collection_finish() -> None:
    """Thousands of tests and all modules stay until the end: each search that went through them too would take a second."""
    gc.collect()
    gc.freeze()

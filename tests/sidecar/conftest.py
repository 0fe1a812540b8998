"""What all tests of the sidecar share."""

import logging

import pytest
import structlog


@pytest.fixture(autouse=True)
def _quiet():
    """In process, only errors are logged: a failing test shows what matters."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield
    structlog.reset_defaults()

"""What the service says of its own end."""

import asyncio
import logging

import pytest

from agent.cli.serve import is_news


@pytest.mark.parametrize(("error", "news"), [(asyncio.CancelledError(), False), (RuntimeError(), True), (None, True)])
def test_a_stream_that_is_open_when_the_service_ends_is_no_error_and_whatever_else_breaks_is(error, news):
    about = (type(error), error, None) if error is not None else None
    record = logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, "Exception in ASGI application\n", (), about)

    assert is_news(record) is news

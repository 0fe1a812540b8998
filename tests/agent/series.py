"""Series for tests: values half a minute apart, the last one now."""

from datetime import timedelta

from agent.domain.objects import Series
from tests.agent.builders import NOW


def measured(name: str, *values: float, **labels: str) -> Series:
    """A series whose last sample is now, half a minute apart."""
    begin = (NOW - timedelta(seconds=30 * (len(values) - 1))).timestamp()
    samples = tuple((begin + 30 * index, value) for index, value in enumerate(values))
    return Series(labels={"__name__": name, **labels}, samples=samples)

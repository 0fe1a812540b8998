"""The read gateway: what may be read through the sidecar, and what is taken out on the way. Knows no policy and no lease."""

from sidecar.reading.gateway import Reading, open_reading
from sidecar.reading.permitted import Forbidden

__all__ = ["Forbidden", "Reading", "open_reading"]

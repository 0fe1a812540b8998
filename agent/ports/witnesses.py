"""Sources that are asked only once it is known what about: each tells little, in few requests, or says why it cannot."""

from typing import Protocol

from agent.domain.testimony import Matter
from agent.ports.cluster import Observed


class Witness(Protocol):
    """`why_off` is "" when it can be asked. Nothing is sent anywhere before `tell`."""

    @property
    def name(self) -> str: ...

    @property
    def why_off(self) -> str: ...

    def wanted(self, matter: Matter) -> str:
        """What it would be asked for, in words that name a gap; "" when it has nothing to say about this, or, where it is off,
        when it is not missed."""
        ...

    async def tell(self, matter: Matter) -> Observed:
        """Objects, logs, testimony and gaps, as of `matter.window.end`. Raises ReadRefused, ClusterUnreachable."""
        ...

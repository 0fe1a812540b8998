"""The fault model: what the program in a container does, as conditions on its spec, its environment and the world.
First match wins; what nothing matches is healthy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.world.conditions import Condition
from lab.world.kinds import Object
from lab.world.reading import labels_of

HEALTHY_STARTUP = (
    'ts={now} level=info app={container} msg="starting" version={version}',
    'ts={now} level=info app={container} msg="configuration loaded"',
)
HEALTHY_REPEAT = ('ts={now} level=info app={container} msg="request completed" method=GET path=/{n} status=200 duration_ms={ms}',)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What a container does while this applies. Times are lab seconds since it began to apply.

    `exit` is an exit code, `oom` a kill by the kernel, both `after` so long. `listen` None: every declared port.
    `not_ready`/`not_live`: the probe endpoints answer 503. `logs` once, `repeat` every `every`. `dial` is an address whose
    connection error fills {dial}. `errors` is the share of requests answered 5xx; `memory` bytes it settles at, or the
    share of the limit when below 1."""

    name: str = "healthy"
    exit: int | None = None
    oom: bool = False
    after: float = 0.0
    listen: tuple[int, ...] | None = None
    not_ready: bool = False
    not_live: bool = False
    logs: tuple[str, ...] = ()
    repeat: tuple[str, ...] = ()
    every: float = 10.0
    dial: Condition | None = None
    errors: float = 0.0
    memory: float = 0.45
    cpu: float = 0.3  # share of the request, or cores when there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """`namespace`, `labels`, `container` empty match anything; `when` None always holds."""

    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    container: str = ""
    when: Condition | None = None
    program: Program

    def covers(self, pod: Object, container: str) -> bool:
        if self.namespace and pod["metadata"]["namespace"] != self.namespace:
            return False
        if self.container and container != self.container:
            return False
        carried = labels_of(pod)
        return all(carried.get(k) == v for k, v in self.labels.items())


SERVICE = Program(logs=HEALTHY_STARTUP, repeat=HEALTHY_REPEAT, every=12.0)
TASK = Program(
    name="task",
    exit=0,
    after=8.0,
    logs=(*HEALTHY_STARTUP, 'ts={now} level=info app={container} msg="done"'),
    listen=(),
    memory=0.3,
)


@dataclass(frozen=True)
class Faults:
    behaviours: tuple[Behaviour, ...] = ()

    def pick(self, pod: Object, container: str, variables: Mapping[str, Any], *, task: bool) -> Program:
        """The program that applies now. `task`: one that is meant to end (a Job's, an init container)."""
        for behaviour in self.behaviours:
            if behaviour.covers(pod, container) and (behaviour.when is None or behaviour.when.holds(variables)):
                return behaviour.program
        return TASK if task else SERVICE

"""What may be asked about the cluster's objects: the arguments of the tools of `objects`."""

from pydantic import Field

from agent.ports.toolset import Arguments

MOST_LOG_LINES = 20_000
# Both become segments of a path, and have to stay one whatever a model asks for.
SPACE = r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$"
NAME = r"^[^/%]*[^/%.][^/%]*$"


class Which(Arguments):
    kind: str = Field(description="such as Deployment", pattern=r"^[A-Z][A-Za-z0-9]{0,62}$")
    namespace: str = Field("", description="empty for cluster-scoped kinds", pattern=SPACE)
    name: str = Field(min_length=1, max_length=253, pattern=NAME)


class Listing(Arguments):
    kind: str = Field(description="such as Pod", pattern=r"^[A-Z][A-Za-z0-9]{0,62}$")
    namespace: str = Field("", description="empty: all that were read", pattern=SPACE)
    labels: str = Field("", description="only objects with these labels: a=b,c=d", max_length=300)


class Events(Arguments):
    namespace: str = Field("", pattern=SPACE)
    kind: str = Field("", description="of objects of this kind only", max_length=63)
    name: str = Field("", description="of objects whose name begins so", max_length=253)


class Logs(Arguments):
    namespace: str = Field(pattern=SPACE)
    pod: str = Field(max_length=253, pattern=NAME)
    container: str = Field("", description="empty: all of the pod", max_length=63)
    previous: bool = Field(False, description="of the run before the last restart")
    tail: int = Field(400, ge=1, le=MOST_LOG_LINES, description="lines from the end")


class Diff(Arguments):
    namespace: str = Field(pattern=SPACE)
    name: str = Field(description="of the Deployment", max_length=253)
    older: int = Field(ge=1)
    newer: int = Field(ge=1)


class Right(Arguments):
    verb: str = Field(description="such as get, or *", max_length=30)
    resource: str = Field(description="in the plural, such as pods or pods/log", max_length=120)
    group: str = Field("", description="API group; empty for the core", max_length=120)
    namespace: str = Field("", pattern=SPACE)
    name: str = Field("", max_length=253)


class Recent(Arguments):
    hours: float = Field(24, gt=0, le=24 * 365)
    namespace: str = Field("", pattern=SPACE)

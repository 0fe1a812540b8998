"""The error tree of the agent. "No" is a value; these say "cannot".

LestradeError
├── InputError            what a person or a file gave cannot be used: says what, where, what to do (exit 2, HTTP 4xx)
│   └── NotThere          what was named is not there, or is somebody else's (HTTP 404)
├── Busy                  not now, because something else is under way that has to end first (HTTP 409)
├── ClusterUnreachable    nothing answers where the cluster should be (exit 4)
├── ReadRefused           the cluster answers, but does not let us read this
├── MetricsUnavailable    no metrics, and why
├── GovernanceUnavailable no trustworthy answer from the sidecar
├── ModelUnavailable      no answer of the language model that can be used; `reason` says which way, in one word
├── ToolRefused           a tool cannot be used so: what is wrong with the call, for whoever made it
├── StoreUnavailable      runs cannot be kept (exit 5)
└── RunGivenUp            processes died of this run again and again: it is not worked on any more

Beside them identity.IdentityUnavailable: the identity provider does not answer, so nobody can be known (HTTP 503).
"""


class LestradeError(Exception):
    """Every message is one line for a person: what, where, what to do. Never holds a secret."""


class InputError(LestradeError): ...


class NotThere(InputError): ...


class Busy(LestradeError): ...


class ClusterUnreachable(LestradeError): ...


class ReadRefused(LestradeError): ...


class MetricsUnavailable(LestradeError): ...


class GovernanceUnavailable(LestradeError): ...


class ModelUnavailable(LestradeError):
    """`reason` is one of a few slugs (see agent.ports.model), such as "rate-limited"."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class ToolRefused(LestradeError): ...


class StoreUnavailable(LestradeError): ...


class RunGivenUp(LestradeError): ...

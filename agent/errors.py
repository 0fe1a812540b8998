"""The error tree of the agent. "No" is a value; these say "cannot".

LestradeError
├── InputError            what a person or a file gave cannot be used: says what, where, what to do (exit 2, HTTP 4xx)
├── ClusterUnreachable    nothing answers where the cluster should be (exit 4)
├── ReadRefused           the cluster answers, but does not let us read this
├── MetricsUnavailable    no metrics, and why
├── GovernanceUnavailable no trustworthy answer from the sidecar
└── StoreUnavailable      runs cannot be kept (exit 5)
"""


class LestradeError(Exception):
    """Every message is one line for a person: what, where, what to do. Never holds a secret."""


class InputError(LestradeError): ...


class ClusterUnreachable(LestradeError): ...


class ReadRefused(LestradeError): ...


class MetricsUnavailable(LestradeError): ...


class GovernanceUnavailable(LestradeError): ...


class StoreUnavailable(LestradeError): ...

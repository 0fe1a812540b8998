"""The error tree of the sidecar. A refusal is a value (contract.Problem); these say "cannot", and end in a no.

SidecarError
├── SettingsError        cannot start: says which setting, why, what to do (exit 2)
├── ClusterUnavailable   no answer from the API server, or none that can be read
│   └── AlertmanagerUnavailable   the same of Alertmanager: whoever waits for the one waits for the other
├── AlertmanagerRefused  Alertmanager does not take a silence; says why
├── PolicyUnavailable    the engine gave no verdict
├── BundleRefused        a policy bundle was not admitted; says which check failed
└── JournalUnavailable   the record could not be made durable: nothing may happen

Beside them identity.IdentityUnavailable: the identity provider gives no answer, so nobody can be known.
"""


class SidecarError(Exception):
    """Every message is one line: what, where, what to do. Never holds a secret."""


class SettingsError(SidecarError): ...


class ClusterUnavailable(SidecarError): ...


class AlertmanagerUnavailable(ClusterUnavailable): ...


class AlertmanagerRefused(SidecarError): ...


class PolicyUnavailable(SidecarError): ...


class BundleRefused(SidecarError): ...


class JournalUnavailable(SidecarError): ...

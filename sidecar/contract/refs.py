"""Which object: never a pattern, never a selector."""

from typing import Annotated

from pydantic import Field, StringConstraints

from sidecar.contract.wire import Message

# Kubernetes names: RFC 1123 subdomain (253) and label (63); apiVersion is group/version, the core group has no slash.
DnsName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$", max_length=253)]
DnsLabel = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", max_length=63)]
ApiVersion = Annotated[
    str,
    StringConstraints(pattern=r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?v[0-9]{1,3}((alpha|beta)[0-9]{1,3})?$", max_length=270),
]
Kind = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]{0,62}$")]
Uid = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,62}[a-z0-9])?$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Line = Annotated[str, StringConstraints(max_length=500)]
Prose = Annotated[str, StringConstraints(max_length=2000)]


class ObjectRef(Message):
    """One live object. `namespace` is empty for cluster-scoped kinds; `uid` tells it from a later namesake."""

    api_version: ApiVersion = Field(alias="apiVersion")
    kind: Kind
    namespace: DnsLabel | Annotated[str, StringConstraints(max_length=0)] = ""
    name: DnsName
    uid: Uid

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

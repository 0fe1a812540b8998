"""Admission for the controllers of the world: the same steps that a create over HTTP goes through, in process, as a
kube-system service account. Stamps are the caller's, who may live a little in the past of the clock."""

from lab.api import admission, defaults, preparation
from lab.api.cluster import Cluster
from lab.api.request import Call, Identity, Target
from lab.api.status import ApiError, invalid
from lab.api.validation import validate
from lab.store import Key, Object
from lab.world.cluster import Refused

GROUPS = ("system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated")


class Admission:
    """An `Admit` over the API server's parts. Call with the store's lock held."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def __call__(self, verb: str, key: Key, obj: Object, user: str) -> Object:
        """The object with defaults filled in, its quota charged. Raises Refused with the server's message."""
        resource = self._cluster.resources.stored(key.group, key.resource)
        if resource is None:
            raise Refused(f"the server could not find the requested resource {key.resource}")
        status = obj.get("status")
        try:
            if resource.namespaced:
                admission.namespace_lifecycle(self._cluster, resource, obj)
            defaults.fill(resource.store_group, resource.plural, obj)
            call = self._call(verb, key, user)
            admission.mutate(self._cluster, resource, obj, None, call)
            preparation.for_create(self._cluster, resource, obj)
            if causes := validate(self._cluster, resource, obj):
                raise invalid(resource.kind, resource.group, key.name, causes)
            admission.validate(self._cluster, resource, obj, None, call)
            admission.charge(self._cluster, resource, obj)
        except ApiError as exc:
            raise Refused(exc.message) from exc
        if status is not None and resource.plural != "pods":
            obj["status"] = status
        return obj

    @staticmethod
    def _call(verb: str, key: Key, user: str) -> Call:
        target = Target(
            is_resource=True, verb=verb, path="", group=key.group, resource=key.resource, namespace=key.namespace, name=key.name
        )
        identity = Identity(username=user, groups=GROUPS)
        return Call(method="POST", path="", query=[], headers={}, body=b"", target=target, identity=identity)

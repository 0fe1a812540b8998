"""What the gate needs of the world, as protocols. Adapters are the siblings above; fakes live in tests/fakes."""

from sidecar.ports.clock import Clock
from sidecar.ports.cluster import ApiAnswer, ApiCall, Cluster, Credential, Looking
from sidecar.ports.judging import FactFinder, Facts, History, Judge, PolicyStanding, nothing
from sidecar.ports.resources import Resource, collection_path, look_at, object_path, path_of, resource_of
from sidecar.ports.silences import Alerts, FiringAlert, NewSilence, NoAlertmanager, Silence, Silencer

__all__ = [
    "Alerts",
    "ApiAnswer",
    "ApiCall",
    "Clock",
    "Cluster",
    "Credential",
    "FactFinder",
    "Facts",
    "FiringAlert",
    "History",
    "Judge",
    "Looking",
    "NewSilence",
    "NoAlertmanager",
    "PolicyStanding",
    "Resource",
    "Silence",
    "Silencer",
    "collection_path",
    "look_at",
    "nothing",
    "object_path",
    "path_of",
    "resource_of",
]

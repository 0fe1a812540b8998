"""How a rollout goes: the conditions of a Deployment, and the deadline after which no progress is a failure."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lab.world.cluster import Cluster
from lab.world.kinds import Object
from lab.world.reading import condition, drop_condition, parse_stamp, set_condition
from lab.world.rollout import bounds


@dataclass
class Progress:
    cluster: Cluster
    _deadlines: dict[str, datetime] = field(default_factory=dict)  # by uid

    @property
    def due(self) -> datetime | None:
        return min(self._deadlines.values(), default=None)

    def keep(self, uids: set[str]) -> None:
        """Forget Deployments that are gone."""
        self._deadlines = {uid: at for uid, at in self._deadlines.items() if uid in uids}

    def available(self, deployment: Object, status: Object, count: int) -> None:
        least = deployment["spec"].get("replicas", 1) - bounds(deployment)[1]
        if count >= least:
            entry = {"status": "True", "reason": "MinimumReplicasAvailable", "message": "Deployment has minimum availability."}
        else:
            text = "Deployment does not have minimum availability."
            entry = {"status": "False", "reason": "MinimumReplicasUnavailable", "message": text}
        set_condition(status, {"type": "Available", **entry}, self.cluster.stamp, updated=True)

    def failure(self, status: Object, sets: list[Object]) -> None:
        failed = next(
            (c for s in sets if (c := condition(s, "ReplicaFailure")) is not None and s["spec"].get("replicas", 0)), None
        )
        if failed is None:
            drop_condition(status, "ReplicaFailure")
        else:
            kept = {k: failed[k] for k in ("type", "status", "reason", "message")}
            set_condition(status, kept, self.cluster.stamp, updated=True)

    def note(self, deployment: Object, status: Object, new: Object | None, counts: dict[str, int], progressed: bool) -> None:
        uid = deployment["metadata"]["uid"]
        now = self.cluster.stamp
        before = next((c for c in status.get("conditions") or [] if c["type"] == "Progressing"), None)
        if deployment["spec"].get("paused"):
            entry = {"type": "Progressing", "status": "Unknown", "reason": "DeploymentPaused", "message": "Deployment is paused"}
            set_condition(status, entry, now, updated=True)
            self._deadlines.pop(uid, None)
            return
        wanted = deployment["spec"].get("replicas", 1)
        name = (new or {"metadata": {"name": deployment["metadata"]["name"]}})["metadata"]["name"]
        complete = counts["updatedReplicas"] == wanted == counts["availableReplicas"] == counts["replicas"]
        was_done = before is not None and before.get("reason") == "NewReplicaSetAvailable"
        if complete:
            text = f'ReplicaSet "{name}" has successfully progressed.'
            entry = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "message": text}
            if not (was_done and before and before["message"] == text):
                set_condition(status, entry, now, updated=True)
            self._deadlines.pop(uid, None)
        elif (
            was_done
            and counts["updatedReplicas"] == wanted
            and counts["replicas"] == wanted
            and before
            and name in before["message"]
        ):
            self._deadlines.pop(uid, None)  # finished once; a pod that falls ill later is not a rollout
        elif progressed or before is None or (was_done and before and name not in before["message"]):
            text = f'ReplicaSet "{name}" is progressing.'
            entry = {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", "message": text}
            drop = before is not None and before.get("reason") == "ReplicaSetUpdated"
            set_condition(status, entry, now, updated=True)
            if drop:
                next(c for c in status["conditions"] if c["type"] == "Progressing")["lastUpdateTime"] = now
            self._arm(deployment, now)
        else:
            self._time_out(deployment, status, before, name)

    def _arm(self, deployment: Object, since: str) -> None:
        seconds = deployment["spec"].get("progressDeadlineSeconds", 600)
        self._deadlines[deployment["metadata"]["uid"]] = parse_stamp(since) + timedelta(seconds=seconds)

    def _time_out(self, deployment: Object, status: Object, before: Object | None, name: str) -> None:
        uid = deployment["metadata"]["uid"]
        if uid not in self._deadlines and before is not None and before.get("reason") != "ProgressDeadlineExceeded":
            self._arm(deployment, before.get("lastUpdateTime") or self.cluster.stamp)
        deadline = self._deadlines.get(uid)
        if deadline is not None and self.cluster.now >= deadline:
            text = f'ReplicaSet "{name}" has timed out progressing.'
            entry = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": text}
            set_condition(status, entry, self.cluster.stamp, updated=True)
            self._deadlines.pop(uid, None)

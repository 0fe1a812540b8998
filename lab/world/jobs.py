"""Jobs and CronJobs: completions, parallelism, back-off limit and deadline; a schedule with minutes and hours."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from lab.store import copied
from lab.world.cluster import Cluster, Refused
from lab.world.events import Recorder
from lab.world.kinds import Object
from lab.world.pods import PodRun
from lab.world.reading import condition, finished, is_true, owner_reference, parse_stamp, set_condition
from lab.world.replicasets import pod_of

BY, CRON = "job-controller", "cronjob-controller"
FIRST_BACKOFF, LAST_BACKOFF = 10, 600


class Runs(Protocol):
    def find(self, namespace: str, name: str) -> PodRun | None: ...


@dataclass
class Jobs:
    cluster: Cluster
    recorder: Recorder
    runs: Runs
    name: str = BY
    watches: frozenset[str] = frozenset({"Job", "Pod"})
    _wake: dict[str, datetime] = field(default_factory=dict)

    @property
    def due(self) -> datetime | None:
        return min(self._wake.values(), default=None)

    def reconcile(self) -> None:
        for job in self.cluster.of("Job"):
            ended = is_true(job, "Complete") or is_true(job, "Failed")
            if ended or job["metadata"].get("deletionTimestamp") or job["spec"].get("suspend"):
                self._wake.pop(job["metadata"]["uid"], None)
                continue
            self._one(job)

    def _one(self, job: Object) -> None:
        uid, spec = job["metadata"]["uid"], job["spec"]
        pods = self.cluster.owned("Pod", job)
        active = [p for p in pods if not finished(p) and not p["metadata"].get("deletionTimestamp")]
        succeeded = sum(p["status"]["phase"] == "Succeeded" for p in pods if finished(p))
        failed = [p for p in pods if finished(p) and p["status"]["phase"] == "Failed"]
        started = parse_stamp((job.get("status") or {}).get("startTime") or self.cluster.stamp)
        restarts = sum(c.get("restartCount", 0) for p in active for c in p["status"].get("containerStatuses") or [])
        completions = spec.get("completions") or 1
        limit = spec.get("activeDeadlineSeconds")
        reason = message = ""
        self._wake.pop(uid, None)
        if limit is not None and self.cluster.now >= started + timedelta(seconds=limit):
            reason, message = "DeadlineExceeded", "Job was active longer than specified deadline"
        elif len(failed) + restarts > spec.get("backoffLimit", 6):
            reason, message = "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        if reason:
            for pod in active:
                self.cluster.delete("Pod", pod["metadata"]["namespace"], pod["metadata"]["name"])
                self.recorder.record(job, "Normal", "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}", by=BY)
            self._finish(job, "Failed", reason, message)
        elif succeeded >= completions:
            self._finish(job, "Complete", "CompletionsReached", "Reached expected number of succeeded pods")
        else:
            wake = [started + timedelta(seconds=limit)] if limit is not None else []
            wake += self._start(job, min(spec.get("parallelism", 1), completions - succeeded) - len(active), failed)
            self._wake[uid] = min(wake) if wake else datetime.max.replace(tzinfo=self.cluster.now.tzinfo)
        self._status(job, started, failed)

    def _start(self, job: Object, missing: int, failed: list[Object]) -> list[datetime]:
        """Create pods, unless the back-off after the last failure still runs; then say when it ends."""
        if missing <= 0:
            return []
        if failed:
            ends = [self._ended(p) for p in failed]
            wait = min(FIRST_BACKOFF * 2 ** (len(failed) - 1), LAST_BACKOFF)
            at = max(ends) + timedelta(seconds=wait)
            if self.cluster.now < at:
                return [at]
        for _ in range(missing):
            pod = pod_of(job, f"{job['metadata']['name']}-{self.cluster.suffix()}", BY)
            pod = copied(pod)
            extra = {"job-name": job["metadata"]["name"], "batch.kubernetes.io/job-name": job["metadata"]["name"]}
            pod["metadata"]["labels"] |= extra
            try:
                self.cluster.create("Pod", pod, user=BY)
            except Refused as exc:
                self.recorder.record(job, "Warning", "FailedCreate", f"Error creating: {exc}", by=BY)
                return [self.cluster.now + timedelta(seconds=30)]
            self.recorder.record(job, "Normal", "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}", by=BY)
        return []

    def _ended(self, pod: Object) -> datetime:
        times = [
            parse_stamp(c["state"]["terminated"]["finishedAt"])
            for c in pod["status"].get("containerStatuses") or []
            if "terminated" in c["state"]
        ]
        return max(times, default=self.cluster.now)

    def _finish(self, job: Object, kind: str, reason: str, message: str) -> None:
        before = {"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}[kind]

        def change(obj: Object) -> None:
            status = obj.setdefault("status", {})
            for name in (before, kind):
                entry = {
                    "type": name,
                    "status": "True",
                    "reason": reason,
                    "message": message,
                    "lastProbeTime": self.cluster.stamp,
                }
                set_condition(status, entry, self.cluster.stamp)
            if kind == "Complete":
                status["completionTime"] = self.cluster.stamp

        self.cluster.edit("Job", job["metadata"]["namespace"], job["metadata"]["name"], change)
        if kind == "Complete":
            self.recorder.record(job, "Normal", "Completed", "Job completed", by=BY)
        else:
            self.recorder.record(job, "Warning", reason, message, by=BY)

    def _status(self, job: Object, started: datetime, failed: list[Object]) -> None:
        metadata = job["metadata"]
        pods = self.cluster.owned("Pod", job)
        active = [p for p in pods if not finished(p) and not p["metadata"].get("deletionTimestamp")]
        counts = {
            "active": len(active),
            "ready": sum(is_true(p, "Ready") for p in active),
            "succeeded": sum(p["status"]["phase"] == "Succeeded" for p in pods if finished(p)),
            "failed": len(failed),
        }

        def change(obj: Object) -> None:
            status = obj.setdefault("status", {})
            status.setdefault("startTime", started.strftime("%Y-%m-%dT%H:%M:%SZ"))
            for name, count in counts.items():
                if count or name == "ready":
                    status[name] = count
                else:
                    status.pop(name, None)
            if condition(obj, "Failed") and counts["active"]:
                status["failed"] = counts["failed"] + counts["active"]

        self.cluster.edit("Job", metadata["namespace"], metadata["name"], change)


@dataclass
class CronJobs:
    cluster: Cluster
    recorder: Recorder
    name: str = CRON
    watches: frozenset[str] = frozenset({"CronJob", "Job"})
    due: datetime | None = None

    def reconcile(self) -> None:
        moments = []
        for cron in self.cluster.of("CronJob"):
            if cron["spec"].get("suspend") or cron["metadata"].get("deletionTimestamp"):
                continue
            status = cron.get("status") or {}
            last = parse_stamp(status.get("lastScheduleTime") or cron["metadata"]["creationTimestamp"])
            at = following(cron["spec"]["schedule"], last)
            if at is not None and at <= self.cluster.now:
                self._start(cron, at)
                at = following(cron["spec"]["schedule"], self.cluster.now)
            if at is not None:
                moments.append(at)
            self._tidy(cron)
        self.due = min(moments, default=None)

    def _start(self, cron: Object, at: datetime) -> None:
        metadata = cron["metadata"]
        template = cron["spec"]["jobTemplate"]
        name = f"{metadata['name']}-{int(at.timestamp()) // 60}"
        job = {
            "metadata": {
                "name": name,
                "namespace": metadata["namespace"],
                "labels": dict((template.get("metadata") or {}).get("labels") or {}),
                "ownerReferences": [owner_reference(cron)],
            },
            "spec": template["spec"],
        }
        running = [j for j in self.cluster.owned("Job", cron) if not (is_true(j, "Complete") or is_true(j, "Failed"))]
        if not (running and cron["spec"].get("concurrencyPolicy") == "Forbid"):
            self.cluster.create("Job", job, user=CRON)
            self.recorder.record(cron, "Normal", "SuccessfulCreate", f"Created job {name}", by=CRON)

        def change(obj: Object) -> None:
            obj.setdefault("status", {})["lastScheduleTime"] = at.strftime("%Y-%m-%dT%H:%M:%SZ")

        self.cluster.edit("CronJob", metadata["namespace"], metadata["name"], change)

    def _tidy(self, cron: Object) -> None:
        for kind, limit in (
            ("Complete", cron["spec"].get("successfulJobsHistoryLimit", 3)),
            ("Failed", cron["spec"].get("failedJobsHistoryLimit", 1)),
        ):
            ended = [j for j in self.cluster.owned("Job", cron) if is_true(j, kind)]
            for job in sorted(ended, key=lambda j: j["metadata"]["creationTimestamp"])[: max(0, len(ended) - limit)]:
                self.cluster.delete("Job", job["metadata"]["namespace"], job["metadata"]["name"])


def following(schedule: str, after: datetime) -> datetime | None:
    """The next moment of a five-field schedule within a week; lists, ranges and steps are understood."""
    fields = schedule.split()
    if len(fields) != 5:
        return None
    at = after.replace(second=0, microsecond=0)
    for _ in range(7 * 24 * 60):
        at += timedelta(minutes=1)
        values = (at.minute, at.hour, at.day, at.month, at.isoweekday() % 7)
        if all(_in(f, v) for f, v in zip(fields, values, strict=True)):
            return at
    return None


def _in(field_text: str, value: int) -> bool:
    for part in field_text.split(","):
        span, _, step = part.partition("/")
        low, _, high = span.partition("-")
        if span == "*":
            inside, base = True, 0
        else:
            inside = int(low) <= value <= int(high or (low if not step else 10**6))
            base = int(low)
        if inside and (value - base) % int(step or 1) == 0:
            return True
    return False

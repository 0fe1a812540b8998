"""Containers as the manifests say, without an engine: the same user, group, arguments, environment and mounts, a root that cannot
be written, no rights of the administrator; in a mount namespace of its own. Needs root on Linux; the network is the machine's.
"""

import functools
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {"agent": "lestrade", "sidecar": "lestrade-sidecar"}
OVERLAY = "mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/up,workdir=/mnt/work /etc"
TRIED = ("mount --make-rprivate /", "mount -t tmpfs tmpfs /mnt", "mkdir /mnt/up /mnt/work", OVERLAY, "mount -o remount,bind,ro /")
TRY = ["unshare", "--mount", "sh", "-c", " && ".join(TRIED)]


@functools.cache
def why_not() -> str:
    """Why it cannot be done here, "" if it can."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("setpriv"):
        return "containers without an engine need root, unshare and setpriv"
    tried = subprocess.run(TRY, capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"no mount namespaces here: {tried.stderr.strip()}"


class Volumes:
    """The pod's volumes as folders, owned as the kubelet does it for an fsGroup."""

    def __init__(self, folder: Path, pod: dict[str, Any], contents: dict[str, dict[str, bytes]]) -> None:
        """`contents`: volume's name to file names and texts, for secrets, config maps and the token."""
        self._group = pod["securityContext"]["fsGroup"]
        self.folders: dict[str, Path] = {}
        for volume in pod["volumes"]:
            made = folder / volume["name"]
            made.mkdir(parents=True)
            is_written = "emptyDir" in volume or "persistentVolumeClaim" in volume
            self.folders[volume["name"]] = made
            if is_written:
                assert volume["name"] not in contents
                os.chown(made, 0, self._group)
                made.chmod(0o2777 if "emptyDir" in volume else 0o2775)
            else:
                self.put(volume["name"], contents.pop(volume["name"]))
        assert not contents, f"no such volumes: {sorted(contents)}"

    def put(self, name: str, files: dict[str, bytes]) -> None:
        """As the kubelet writes them: a folder that a link points to, and links to its files."""
        hidden = self.folders[name] / "..2026"
        hidden.mkdir(exist_ok=True)
        for file, text in files.items():
            (hidden / file).write_bytes(text)
            os.chown(hidden / file, 0, self._group)
            (hidden / file).chmod(0o440)
            (self.folders[name] / file).symlink_to(Path("..data") / file)
        (self.folders[name] / "..data").symlink_to("..2026")


def start(
    container: dict[str, Any], pod: dict[str, Any], volumes: Volumes, environment: dict[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """The container's process. `environment` is all that it gets."""
    stage = log.parent / f"stage-{container['name']}"
    stage.mkdir(exist_ok=True)
    context = {**pod["securityContext"], **container["securityContext"]}
    user, group = str(context["runAsUser"]), str(context["runAsGroup"])
    assert context["readOnlyRootFilesystem"]
    assert context["capabilities"]["drop"] == ["ALL"]
    program = Path(sys.executable).with_name(PROGRAMS[container["name"]])
    lines = [
        "set -e",
        "mount --make-rprivate /",
        f"mount -t tmpfs tmpfs {stage}",
        f"mkdir {stage}/up {stage}/work {stage}/python",
    ]
    lines += _reachable(Path(sys.executable).resolve(), stage)
    lines += [f"mount -t overlay overlay -o lowerdir=/etc,upperdir={stage}/up,workdir={stage}/work /etc"]
    binds = sorted(container["volumeMounts"], key=lambda mount: (mount["mountPath"] == "/tmp", mount["mountPath"]))
    sources = {mount["mountPath"]: volumes.folders[mount["name"]] / mount.get("subPath", "") for mount in binds}
    lines += [f"mount -t tmpfs -o mode=755 tmpfs {place}" for place in ("/run", "/var/lib")]
    for mount in binds:
        where, source = mount["mountPath"], sources[mount["mountPath"]]
        if ROOT.is_relative_to(where):  # a checkout below /tmp: it is in the image, and stays to be seen
            kept = source / ROOT.relative_to(where)
            lines += [f"mkdir -p {kept}", f"mount --bind {ROOT} {kept}"]
        lines += [
            f"mkdir -p {where}" if source.is_dir() else f"touch {where}",
            f"mount --rbind {shlex.quote(str(source))} {where}",
        ]
        if mount.get("readOnly"):
            lines.append(f"mount -o remount,bind,ro {where}")
    lines += [f"mount -o remount,ro {place}" for place in ("/run", "/var/lib", "/etc")]
    lines += ["mount -o remount,bind,ro /", "cd /tmp"]
    given = " ".join(shlex.quote(f"{name}={value}") for name, value in environment.items())
    drop = (
        f"setpriv --reuid {user} --regid {group} --groups {pod['securityContext']['fsGroup']} --no-new-privs --bounding-set=-all"
    )
    words = " ".join(shlex.quote(word) for word in container["args"])
    lines.append(f"exec {drop} --inh-caps=-all env -i {given} {program} {words}")
    with log.open("ab") as out:
        return subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", "\n".join(lines)], stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )


def _reachable(python: Path, stage: Path) -> list[str]:
    """An interpreter that lies in a home that nobody else may enter, where everybody may."""
    homes = [folder for folder in python.parents if folder != Path("/") and not folder.stat().st_mode & 0o001]
    if not homes:
        return []
    home, below = homes[-1], python.parents[1]
    return [
        f"mount --bind {below} {stage}/python",
        f"mount -t tmpfs -o mode=755 tmpfs {home}",
        f"mkdir -p {below}",
        f"mount --bind {stage}/python {below}",
    ]

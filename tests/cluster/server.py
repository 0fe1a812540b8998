"""A real control plane for as long as a test run: etcd, kube-apiserver, kube-controller-manager and kube-scheduler of one
release, on free loopback ports, with certificates of their own and everything they keep in one folder. It has no nodes: see
tests/cluster/nodes.py.
"""

import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.cluster.admin import Admin, ClusterSaid
from tests.cluster.authority import Authority, Signed
from tests.servers import free_port

UP_WITHIN = 120.0
AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        # Tokens are made here: their bodies are nobody's business.
        {"level": "Metadata", "resources": [{"group": "", "resources": ["secrets", "serviceaccounts/token"]}]},
        {"level": "None", "verbs": ["watch", "list"], "userGroups": ["system:masters"]},
        {"level": "Metadata"},
    ],
}


class DidNotStart(RuntimeError):
    """One part's own last words."""


@dataclass
class Part:
    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-12:])


class ControlPlane:
    """A context manager. `program` is the one that tests/cluster/controlplane builds."""

    def __init__(self, program: str, *, kubelet_port: int = 10250) -> None:
        self._program = program
        self._kubelet_port = kubelet_port
        self._parts: list[Part] = []
        self._exit = ExitStack()
        self.folder = Path(self._exit.enter_context(tempfile.TemporaryDirectory(prefix="lestrade-controlplane-")))
        self.folder.chmod(0o700)
        self.authority = Authority(self.folder)
        self.url = f"https://127.0.0.1:{free_port()}"
        self._etcd = f"http://127.0.0.1:{free_port()}"

    @property
    def kubeconfig(self) -> Path:
        """The admin's."""
        return self.folder / "kubernetes-admin.kubeconfig"

    @property
    def audit_log(self) -> Path:
        """JSON lines: who asked what, and what they were answered; bodies are not in it."""
        return self.folder / "audit.log"

    def __enter__(self) -> "ControlPlane":
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Whoever asks goes before whoever answers; nothing of it is left on disk."""
        while self._parts:
            part = self._parts.pop()
            part.process.terminate()
            assert part.process.stdin is not None
            part.process.stdin.close()
            try:
                part.process.wait(3)  # the API server would wait longer for its watches
            except subprocess.TimeoutExpired:
                part.process.kill()
                part.process.wait()
        self._exit.close()

    def client(self, user: str, *groups: str) -> Path:
        """A kubeconfig for a user with a certificate."""
        signed = self.authority.sign(user, *groups)
        cluster = {"server": self.url, "certificate-authority": str(self.authority.certificate)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "controlplane",
            "clusters": [{"name": "controlplane", "cluster": cluster}],
            "users": [{"name": user, "user": {"client-certificate": str(signed.certificate), "client-key": str(signed.key)}}],
            "contexts": [{"name": "controlplane", "context": {"cluster": "controlplane", "user": user}}],
        }
        path = self.folder / f"{user.replace(':', '-')}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(document))
        return path

    # ------------------------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._start_etcd()
        accounts = self.authority.key_pair("accounts")
        self._start_api_server(accounts)
        self.client("kubernetes-admin", "system:masters")
        self._await_api_server()
        self._start_controllers(accounts)

    def _start_etcd(self) -> None:
        peer = f"http://127.0.0.1:{free_port()}"
        self._run(
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={self._etcd}",
            f"--advertise-client-urls={self._etcd}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",  # it is thrown away
            "--log-level=warn",
        )
        self._await(f"{self._etcd}/health", self._parts[-1])

    def _start_api_server(self, accounts: Signed) -> None:
        hosts = ("127.0.0.1", "localhost", "kubernetes.default.svc", "10.96.0.1")
        serving = self.authority.sign("kube-apiserver", hosts=hosts)
        to_kubelets = self.authority.sign("kube-apiserver-kubelet-client", "system:masters")
        policy = self.folder / "audit-policy.yaml"
        policy.write_text(yaml.safe_dump(AUDIT))
        self._run(
            "kube-apiserver",
            f"--etcd-servers={self._etcd}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.url.rsplit(':', 1)[1]}",
            "--endpoint-reconciler-type=none",  # there are no pods that would ask for kubernetes.default
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            f"--client-ca-file={self.authority.certificate}",
            "--authorization-mode=Node,RBAC",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={accounts.certificate}",
            f"--service-account-signing-key-file={accounts.key}",
            "--service-cluster-ip-range=10.96.0.0/16",
            f"--kubelet-certificate-authority={self.authority.certificate}",
            f"--kubelet-client-certificate={to_kubelets.certificate}",
            f"--kubelet-client-key={to_kubelets.key}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--audit-log-path={self.audit_log}",
            f"--audit-policy-file={policy}",
            "--audit-log-mode=blocking",
            f"--cert-dir={self.folder / 'apiserver'}",
        )

    def _await_api_server(self) -> None:
        """Up to where admission, roles and namespaces of its own are there."""
        part = self._parts[-1]
        admin = Admin(self.kubeconfig)
        deadline = time.monotonic() + UP_WITHIN
        try:
            while True:
                try:
                    admin.request("GET", "/readyz")
                    if admin.get("/api/v1/namespaces/kube-system") and admin.get("/api/v1/namespaces/kube-node-lease"):
                        return
                except (ClusterSaid, OSError) as exc:
                    self._give_up_if_late(part, deadline, exc)
                except Exception as exc:  # noqa: BLE001 - urllib3's, before it listens
                    self._give_up_if_late(part, deadline, exc)
                time.sleep(0.1)
        finally:
            admin.close()

    def _start_controllers(self, accounts: Signed) -> None:
        own = self.client("system:kube-controller-manager")
        self._run(
            "kube-controller-manager",
            f"--kubeconfig={own}",
            f"--authentication-kubeconfig={own}",
            f"--authorization-kubeconfig={own}",
            "--bind-address=127.0.0.1",
            f"--secure-port={free_port()}",
            f"--cert-dir={self.folder / 'controllers'}",
            "--leader-elect=false",
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={accounts.key}",
            f"--root-ca-file={self.authority.certificate}",
            "--controllers=*,-service-lb-controller,-node-route-controller,-cloud-node-lifecycle-controller",
        )
        own = self.client("system:kube-scheduler")
        self._run("kube-scheduler", f"--kubeconfig={own}", "--leader-elect=false", "--secure-port=0")

    def _run(self, name: str, *flags: str) -> None:
        log = self.folder / f"{name}.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                [self._program, name, *flags], stdin=subprocess.PIPE, stdout=out, stderr=out, cwd=self.folder
            )
        self._parts.append(Part(name, process, log))

    def _await(self, url: str, part: Part) -> None:
        deadline = time.monotonic() + UP_WITHIN
        while True:
            try:
                urllib.request.urlopen(url, timeout=2)
                return
            except (urllib.error.URLError, OSError) as exc:
                self._give_up_if_late(part, deadline, exc)
            time.sleep(0.05)

    def _give_up_if_late(self, part: Part, deadline: float, why: Exception) -> None:
        if part.process.poll() is not None:
            raise DidNotStart(f"{part.name} ended with {part.process.returncode}:\n{part.last_words()}")
        if time.monotonic() > deadline:
            raise DidNotStart(f"{part.name} does not answer ({why}):\n{part.last_words()}")

    def keep_logs(self, where: Path) -> None:
        """For whoever looks for the reason of a failure."""
        where.mkdir(parents=True, exist_ok=True)
        for log in self.folder.glob("*.log"):
            shutil.copy(log, where)

"""Builds the sidecar's process and runs it: two listeners, the reaper, an orderly end. The only place that names adapters."""

import contextlib
import gc
import importlib
import importlib.metadata
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from identity import Client
from sidecar.agent_api import agent_api
from sidecar.agent_api.plans import plans_straight
from sidecar.approvals import Directory
from sidecar.approvals.slack.access import access_from
from sidecar.approvals.slack.ports import Access
from sidecar.contract import Json
from sidecar.credentials import Issuer, PlanBound
from sidecar.errors import SettingsError, SidecarError
from sidecar.execution.cluster import KubernetesCluster
from sidecar.facts import ClusterFacts
from sidecar.gate.alerting import open_silencer
from sidecar.gate.channel import SlackDesk
from sidecar.gate.checkpoints import carry_over_for_ever
from sidecar.gate.database import turns_of
from sidecar.gate.desk import CardLimits, Desk, Turns
from sidecar.gate.halt import NAME as HALT
from sidecar.gate.halt import Halt
from sidecar.gate.identity import directory_of, open_people
from sidecar.gate.intake import Intake
from sidecar.gate.ledger import Ledger
from sidecar.gate.opening import WallClock, bind_cluster, open_ledger
from sidecar.gate.policies import PolicyRecord
from sidecar.gate.reap import reap_for_ever
from sidecar.listening import LINGER_SECONDS, bound, run
from sidecar.people_api import people_api
from sidecar.people_api.doorway import Doorway
from sidecar.people_api.pages import Pages
from sidecar.people_api.seal import PROGRAM, Seal
from sidecar.policy import CurrentPolicy, PolicySource, PolicyWatch
from sidecar.ports import ApiCall, Clock, Cluster
from sidecar.reading import ReadBudget, Runs, rules_from
from sidecar.secret_files import Secret, SecretFile, check_certificate, secret_from
from sidecar.settings import Settings
from sidecar.telemetry import Correlated, Tracing, configure_log, open_tracing

if TYPE_CHECKING:
    from sidecar.approvals.slack.channel import SlackChannel

log = structlog.get_logger("sidecar")


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The desk, the policy that judges there, and who looks after it."""

    desk: Desk
    policy: CurrentPolicy
    watch: PolicyWatch
    people: Directory


def build(settings: Settings, make_ledger: Callable[..., Ledger] = Ledger, tracing: Tracing | None = None) -> Built:
    """Everything that the use cases need. Raises SettingsError, JournalUnavailable, ClusterUnavailable."""
    file, known = open_people(settings)
    source = PolicySource.of(
        settings.policies, settings.policy_overlay, settings.opa_url, settings.policy_key_file, opa_token_of(settings)
    )
    cluster: Cluster = KubernetesCluster.connect(kubeconfig=settings.kubeconfig, context=settings.context, name=settings.cluster)
    if tracing is not None:
        cluster = tracing.watched(cluster)
    check_rights(cluster, settings.lease_namespace)
    ledger = open_ledger(settings, make_ledger, cluster)
    bind_cluster(ledger, cluster)
    turns = turns_of(settings.url_of_database)
    if turns is not None:
        ledger.on_close.callback(turns.close)
    policy = CurrentPolicy()
    watch = PolicyWatch(source, policy, PolicyRecord(ledger))
    watch.start()
    log.info(
        "built", cluster=cluster.name, policy=policy.revision, people=known, database=settings.url_of_database.split("://")[0]
    )
    clock = WallClock()
    people = directory_of(settings, file, ledger)
    silencer = open_silencer(settings)
    desk = Desk(
        ledger=ledger,
        cluster=cluster,
        judge=policy,
        facts=ClusterFacts(cluster, environment=settings.environment, alerts=silencer),
        silencer=silencer,
        people=people,
        limits=CardLimits(
            waiting=settings.most_cards_waiting, a_minute=settings.most_cards_a_minute, an_hour=settings.most_cards_an_hour
        ),
        issuer=Issuer(cluster, namespace=settings.lease_namespace, clock=clock, plan_bound=_planbound(settings, cluster, clock)),
        clock=clock,
        halt=Halt.found(settings.state / HALT),
        turns=Turns(elsewhere=turns),
        intake=Intake(settings.most_plans_a_minute),
        runs=Runs(ReadBudget(requests=settings.read_requests_per_run, read_bytes=settings.read_megabytes_per_run * 1_048_576)),
    )
    return Built(desk=desk, policy=policy, watch=watch, people=people)


def _planbound(settings: Settings, cluster: Cluster, clock: Clock) -> PlanBound | None:
    """None where leases are not held to their plans by admission. What is missing for it is said now; each mint looks again."""
    if not settings.plan_bound_admission:
        return None
    plan_bound = PlanBound(cluster, namespace=settings.lease_namespace, clock=clock)
    if missing := plan_bound.missing():
        log.warning("no lease will be minted: plan-bound admission is not in place", missing=missing)
    return plan_bound


def opa_token_of(settings: Settings) -> Secret | None:
    """Raises SettingsError."""
    file = settings.opa_token_file
    return SecretFile(file, what="the token for the OPA server", plain=True) if file is not None and settings.opa_url else None


def check_rights(cluster: Cluster, namespace: str) -> None:
    """Whether the sidecar can reach the cluster and mint leases there. The namespace of the leases is made when missing.

    Raises ClusterUnavailable, SettingsError.
    """
    found = cluster.send(ApiCall(method="GET", path=f"/api/v1/namespaces/{namespace}"))
    if found.status == 404:
        manifest: dict[str, Json] = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        found = cluster.send(ApiCall(method="POST", path="/api/v1/namespaces", body=manifest))
    if found.status == 401:
        raise SettingsError(f"cluster {cluster.name}: the API server does not accept the sidecar's credentials (401)")
    if found.status not in (200, 201, 409):
        raise SettingsError(_no_rights(cluster, f"namespace {namespace}", found.status))
    for group, resource, where in (("", "serviceaccounts", namespace), ("rbac.authorization.k8s.io", "rolebindings", "")):
        attributes: dict[str, Json] = {"verb": "create", "group": group, "resource": resource, "namespace": where}
        review: dict[str, Json] = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = cluster.send(ApiCall(method="POST", path=path, body=review))
        status = answer.body.get("status") if isinstance(answer.body, dict) else None
        if answer.status in (200, 201) and isinstance(status, dict) and status.get("allowed") is False:
            # Rights in single namespaces only are a choice: the mint says where they end.
            if where:
                raise SettingsError(_no_rights(cluster, f"creating {resource} in {where}", 403))
            log.warning("no right everywhere", what=f"create {resource}", consequence="leases only where a Role allows it")


def _no_rights(cluster: Cluster, what: str, status: int) -> str:
    return f"cluster {cluster.name}: the sidecar's identity lacks rights ({what}: {status}); see deploy/rbac/sidecar.yaml"


def serve(settings: Settings, make_ledger: Callable[..., Ledger] = Ledger) -> None:
    """Run until SIGTERM or SIGINT. Raises what `build` raises, before anything listens."""
    configure_log(settings.log_level)
    check_certificate(settings.tls_cert_file, settings.tls_key_file)
    check_certificate(settings.people_tls_cert_file, settings.people_tls_key_file)
    token = secret_from(settings.token_file, settings.state / "agent.token", what="the agent's token")
    access = access_from(settings)
    version = importlib.metadata.version("lestrade")
    tracing = open_tracing(settings, version=version)
    built = build(settings, make_ledger, tracing)
    desk = built.desk
    slack = slack_channel(access, desk) if access is not None else None
    if slack is not None:
        desk = replace(desk, accounts=slack)

    def ready() -> str:
        return why_not_ready(desk) or built.policy.standing().unavailable

    with contextlib.ExitStack() as stack:
        stack.callback(desk.ledger.close)
        stack.callback(tracing.close)
        theirs = _of_agents(desk, settings.url_of_database)
        agents = agent_api(theirs, token=token, ready=ready, version=version, rules=lambda: rules_from(built.policy.reading()))
        doorway = doorway_of(settings, built.people)
        pages = Pages(desk=desk, doorway=doorway, policy=built.policy, console_url=settings.console_url)
        people = people_api(desk, ready=ready, version=version, policy=built.policy.standing, pages=pages)
        if slack is not None:
            slack.install(people)
        for side in (agents, people):
            side.add_middleware(Correlated)
        tracing.install(agents)
        tls = (settings.tls_cert_file, settings.tls_key_file) if settings.listen else (None, None)
        listeners = [
            stack.enter_context(
                bound(
                    agents,
                    settings.agent_socket,
                    settings.listen,
                    tls,
                    group=settings.socket_group_access,
                    ways=None if tracing.active else plans_straight(theirs, token),  # spans are made on the usual way
                )
            ),
            stack.enter_context(
                bound(people, None, settings.people_listen, (settings.people_tls_cert_file, settings.people_tls_key_file))
            ),
        ]
        ended = threading.Event()
        stack.callback(ended.set)
        reaper = _begun_beside(built, desk, slack, settings, ended)
        signal.signal(signal.SIGHUP, lambda *_: built.watch.wake())
        _set_apart_what_stays()
        log.info("listening", agent=listeners[0].address, people=listeners[1].address)
        run(listeners)
        ended.set()
        reaper.join(LINGER_SECONDS)
        log.info("ended")


def _begun_beside(
    built: Built, desk: Desk, slack: "SlackChannel | None", settings: Settings, ended: threading.Event
) -> threading.Thread:
    """Everything that goes on beside the listeners, until `ended`. The reaper's thread, which is waited for at the end."""
    if slack is not None:
        threading.Thread(target=slack.run, args=(ended,), name="slack", daemon=True).start()
    reaper = threading.Thread(target=reap_for_ever, args=(desk, settings.reap_seconds, ended), name="reaper", daemon=True)
    reaper.start()
    threading.Thread(target=built.watch.run, args=(ended,), name="policy-watch", daemon=True).start()
    threading.Thread(target=carry_over_for_ever, args=(desk.ledger, ended), name="checkpoints", daemon=True).start()
    return reaper


def _of_agents(desk: Desk, url: str) -> Desk:
    """The same desk, but for the connections that turns are waited for with: however many the agent has people get theirs."""
    turns = turns_of(url)
    if turns is None:
        return desk
    desk.ledger.on_close.callback(turns.close)
    return replace(desk, turns=replace(desk.turns, elsewhere=turns))


def _set_apart_what_stays() -> None:
    """Modules, classes and routes live as long as the process. The search for garbage in cycles would go through them all
    again and again, up to a tenth of a second each time, and whoever waits for a verdict then would wait for that too.

    It still goes through everything that comes later; less often, since what a verdict makes is nearly all gone by itself.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def slack_channel(access: Access, desk: Desk) -> "SlackChannel":
    """Imported here and now: who has no Slack does not wait for its library. Raises SettingsError where it is not installed."""
    try:
        library = importlib.import_module("sidecar.approvals.slack.channel")
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] not in ("slack_bolt", "slack_sdk"):
            raise
        named = "setting LESTRADE_SIDECAR_SLACK_BOT_TOKEN_FILE"
        raise SettingsError(f"{named} asks for Slack, whose library is not installed: install lestrade[slack]") from None
    opened: SlackChannel = library.open_channel(SlackDesk(desk), access)
    return opened


def doorway_of(settings: Settings, people: Directory) -> Doorway:
    """How browsers come in. Raises SettingsError."""
    key = secret_from(None, settings.state / "session.key", what="the key of the page's sessions")
    file = settings.oidc_client_secret_file
    secret = SecretFile(file, what="the page's client secret", least=8) if file is not None else None
    client = Client(id=settings.oidc_client_id) if settings.oidc_issuer and settings.oidc_client_id else None
    return Doorway(directory=people, seal=Seal(key.encode(), PROGRAM), url=settings.page_url, client=client, client_secret=secret)


def why_not_ready(desk: Desk) -> str:
    if wrong := desk.ledger.hours.wrong():
        return f"{wrong}; set it right, and start the sidecar anew"
    try:
        desk.ledger.head()
        answer = desk.cluster.send(ApiCall(method="GET", path="/version"))
    except SidecarError as exc:
        return str(exc)
    return "" if answer.status == 200 else f"cluster {desk.cluster.name}: /version says {answer.status}"

"""Reports as hostile as hypothesis can make them, and as plain as a usual night."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from agent.domain.answer import Answer
from agent.domain.evidence import Evidence
from agent.domain.finding import Diagnosis, Finding, RankedCause, RuledOut
from agent.domain.incident import Alert, Incident
from agent.domain.objects import Ref, Series
from agent.domain.report import Chart, FollowUp, Report, TimelineEntry

AT = datetime(2026, 3, 1, 3, 2, tzinfo=UTC)
CHECKOUT = Ref("Deployment", "shop", "checkout")
HOSTILE = (
    st.sampled_from(["<!channel>", "<@U0ADA>", "<https://evil.example|page>", "&lt;!here&gt;", "```", "*", "<", "&", "\n", "\t"])
    | st.sampled_from(["\u202e", "\u200b", "\x00", "\u2028", "\u0301" * 9, "\U000e0041", "\U0001f600"])
    | st.sampled_from(["x" * 200, "@channel", "http://evil", "+  replicas: 6\n"])
    | st.text(max_size=8)
)
_TEXT = st.lists(HOSTILE, max_size=12).map("".join).map(lambda text: text.encode("utf-8", "ignore").decode())
TEXTS = _TEXT | _TEXT.map(lambda text: (text * 60)[:5000])
LINES = st.lists(TEXTS, max_size=12).map(tuple)


def chart() -> Chart:
    labels = {"__name__": "container_memory_working_set_bytes", "pod": "checkout-7d4-x", "container": "app"}
    start = AT.timestamp() - 3600
    samples = tuple((start + n * 30, 40e6 + 30e6 * (n % 60) / 60) for n in range(120))
    limit = {"__name__": "kube_pod_container_resource_limits", "pod": "checkout-7d4-x"}
    series = (Series(labels=labels, samples=samples), Series(labels=limit, samples=((start, 67.1e6), (start + 3600, 67.1e6))))
    return Chart(
        title="Memory in use", unit="bytes", series=series, marks=((AT - timedelta(minutes=20), "rollout of revision 7"),)
    )


def incident(**over) -> Incident:
    alert = Alert(
        name="KubePodCrashLooping",
        labels={"alertname": "KubePodCrashLooping", "namespace": "shop", "severity": "critical"},
        annotations={"summary": "checkout restarts"},
        starts_at=AT - timedelta(minutes=4),
    )
    return Incident(**{"id": "inc-1", "cluster": "eu-1", "opened_at": AT, "alerts": (alert,), **over})


def report(**over) -> Report:
    finding = Finding(
        cause="oom-killed",
        subject=CHECKOUT,
        statement="Container app of Deployment shop/checkout is killed for memory at its limit of 64Mi, 11 times in 20 min",
        since=AT - timedelta(minutes=20),
    )
    image = replace(
        finding, cause="image-pull", subject=Ref("Pod", "shop", "cart-1"), statement="Pod shop/cart-1 waits for its image"
    )
    causes = (
        RankedCause(
            finding=finding,
            because=("the limit was lowered from 256Mi to 64Mi by revision 7", "the last exit was OOMKilled, code 137"),
            explains=("crash-loop@Deployment/shop/checkout",),
            confidence=0.93,
            evidence=("ev-1", "ev-2"),
        ),
    )
    usual = {
        "run": "run-1f2e3d4c5b6a",
        "incident": incident(),
        "outcome": "diagnosed",
        "headline": f"Diagnosed: {finding.statement}",
        "diagnosis": Diagnosis(
            outcome="fault",
            statement=finding.statement,
            causes=causes,
            ruled_out=(RuledOut(finding=image, by="it began after the first restart of checkout"),),
        ),
        "rounds": (),
        "evidence": (
            Evidence(
                id="ev-1",
                source="kubernetes: Pod shop/checkout-7d4-x status",
                about=Ref("Pod", "shop", "checkout-7d4-x"),
                text="lastState.terminated: reason OOMKilled, exitCode 137\nrestartCount: 11",
                sha256="a" * 64,
            ),
            Evidence(
                id="ev-2",
                source="kubernetes: ReplicaSet shop/checkout-7d4 spec",
                about=CHECKOUT,
                text="resources.limits.memory: 64Mi (revision 7), 256Mi (revision 6)",
                sha256="b" * 64,
            ),
        ),
        "timeline": (TimelineEntry(at=AT, who="agent", text="taken in"),),
        "charts": (chart(),),
        "unknowns": ("logs of the last run of Pod shop/checkout-7d4-x: gone",),
        "follow_ups": (
            FollowUp(
                kind="human",
                text="The runbook's remedy, not performed: change fields Deployment shop/checkout: the limit of revision 6",
                diff="--- a/shop/checkout.yaml\n+++ b/shop/checkout.yaml\n-  memory: 64Mi\n+  memory: 256Mi\n",
            ),
        ),
        "victims": (),
        "started_at": AT,
        "ended_at": AT + timedelta(seconds=8.4),
    }
    return Report(**{**usual, **over})


@st.composite
def hostile(draw: st.DrawFn) -> Report:
    text = st.shared(TEXTS, key="one") | TEXTS
    base = report()
    finding = replace(base.diagnosis.causes[0].finding, statement=draw(text), subject=Ref("Pod", draw(text), draw(text)))
    cause = RankedCause(finding=finding, because=draw(LINES), confidence=0.5, evidence=("ev-1", "ev-2", "ev-3", "ev-4"))
    columns = draw(st.integers(1, 6))
    cells = st.lists(text, min_size=columns, max_size=columns).map(tuple)
    answer = Answer(
        intent="changed",
        columns=draw(cells),
        rows=draw(st.lists(cells, max_size=20).map(tuple)),
        choices=draw(LINES),
        notes=draw(LINES),
    )
    return report(
        headline=draw(text),
        diagnosis=Diagnosis(
            outcome="fault",
            statement=draw(text),
            causes=(cause,) * draw(st.integers(0, 3)),
            ruled_out=tuple(RuledOut(finding=finding, by=line) for line in draw(LINES)),
            answer=draw(st.none() | st.just(answer)),
        ),
        evidence=tuple(
            Evidence(id=f"ev-{number}", source=line, about=None, text=line) for number, line in enumerate(draw(LINES), start=1)
        ),
        unknowns=draw(LINES),
        follow_ups=tuple(FollowUp(kind="human", text=line, diff=line) for line in draw(LINES)),
        incident=incident(cluster=draw(text), asked_by=draw(text)),
    )

"""Views of requests for approval, as hostile as hypothesis can make them, and as plain as a usual night."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from sidecar.approvals.slack.ports import Asked
from sidecar.contract import Answer, ApprovalView, ChangePreview, Reason

AT = datetime(2026, 3, 1, 3, 2, tzinfo=UTC)
DIFF = """--- Deployment shop/checkout (now)
+++ Deployment shop/checkout (then)
@@ -6,9 +6,9 @@
   name: checkout
   namespace: shop
 spec:
   progressDeadlineSeconds: 600
-  replicas: 2
+  replicas: 6
   revisionHistoryLimit: 10
"""


def view(**over: Any) -> ApprovalView:
    change = ChangePreview(
        step="step-1",
        summary="scale Deployment shop/checkout from 2 to 6 replicas",
        diff=DIFF,
        reversible=True,
        undo="the number of replicas of now again",
    )
    usual: dict[str, Any] = {
        "plan": "3f9a0c1d2e4b" + "5" * 52,
        "incident": "inc-2041",
        "cluster": "eu-1",
        "revision": "15fd29b5b257" + "0" * 52,
        "hypothesis": "The pods are throttled since the campaign began; more replicas spread the load.",
        "changes": (change,),
        "count": 1,
        "roles": ("sre", "platform"),
        "requested_at": AT,
        "expires_at": AT.replace(minute=32),
        "state": "waiting",
        "environment": "prod",
        "cause": "cpu-throttled",
        "evidence": ("ev-1 sha256:" + "a" * 64,),
        "observed": ("Deployment shop/checkout: 2 of 2 replicas ready",),
        "blast_radius": ("1 step on 1 object: 1 Deployment in 1 namespace (shop)", "running pods replaced or removed: none"),
        "grounds": (Reason(rule="environment-autonomy", step="step-1", message="Deployment checkout is in prod"),),
        "dry_run": "made by the API server's own dry run",
    }
    return ApprovalView(**{**usual, **over})


def asked(**over: Any) -> Asked:
    more = {name: over.pop(name) for name in ("answers", "settlement", "lease", "reason") if name in over}
    state = over.pop("state", "waiting")
    viewed = {"leased": "used", "settled": "used"}.get(state, state)
    return Asked(view=view(state=viewed, **over), state=state, **{"reason": "", **more})


HOSTILE = (
    st.sampled_from(["<!channel>", "<@U0ADA>", "<https://evil.example|page>", "&lt;!here&gt;", "```", "*", "<", "&", "\n", "\t"])
    | st.sampled_from(["\u202e", "\u200b", "\x00", "\ufe0f", "\u2028", "\u0301" * 9, "\U000e0041", "\u3164", "\U0001f600"])
    | st.sampled_from(["x" * 200, "@channel", "http://evil", "+  replicas: 6\n"])
    | st.text(max_size=8)
)
# Lone surrogates never come out of the contract's parser.
_TEXT = st.lists(HOSTILE, max_size=15).map("".join).map(lambda text: text.encode("utf-8", "ignore").decode())


def texts(limit: int) -> st.SearchStrategy[str]:
    return _TEXT.map(lambda text: text[:limit]) | _TEXT.map(lambda text: (text * 40)[:limit])


_CHANGES = st.builds(
    ChangePreview, step=st.just("step-1"), summary=texts(500), diff=texts(20_000), reversible=st.booleans(), undo=texts(500)
)
_LINES = st.lists(texts(500), max_size=5).map(tuple)
_ANSWERS = st.lists(
    st.builds(
        Answer,
        person=texts(200),
        verdict=st.sampled_from(["approve", "deny"]),
        via=st.sampled_from(["slack", "page"]),
        at=st.just(AT),
        reason=texts(500),
    ),
    max_size=12,
).map(tuple)


@st.composite
def hostile(draw: st.DrawFn) -> Asked:
    state = draw(st.sampled_from(["waiting", "approved", "refused", "expired", "void", "leased", "settled"]))
    return asked(
        state=state,
        reason=draw(texts(500)),
        answers=draw(_ANSWERS),
        changes=draw(st.lists(_CHANGES, min_size=1, max_size=8).map(tuple)),
        hypothesis=draw(texts(2000)),
        requested_by=draw(texts(200)),
        environment=draw(texts(80)),
        cause=draw(texts(60)),
        incident=draw(texts(128)),
        cluster=draw(texts(128)),
        revision=draw(texts(80)),
        evidence=draw(_LINES),
        observed=draw(_LINES),
        blast_radius=draw(_LINES),
        final=draw(_LINES),
        dry_run=draw(texts(500)),
        grounds=tuple(Reason(rule="r", message=text) for text in draw(_LINES)),
        roles=tuple(draw(st.lists(texts(60), max_size=6))),
    )

"""Where names are hidden, none of the cluster's leaves the house, whatever text it stands in; and each comes back as it was."""

import re
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.domain.objects import ContainerLog
from agent.reasoning.model.aliases import Aliases
from agent.reasoning.model.neutral import VOCABULARY
from agent.rendering import render
from agent.topology.naming import names_in
from tests.agent import builders
from tests.agent.model.playing import crashing, played
from tests.fakes.model_minds import claim, conclude, finding, looked
from tests.fakes.model_server import Calls, Talk

WORD = st.from_regex(r"[a-z][a-z0-9]{1,11}(-[a-z0-9]{1,6}){0,2}", fullmatch=True)
NAME = WORD.filter(lambda word: word not in VOCABULARY and not word.startswith("name-"))
SIX = st.ip_addresses(v=6).filter(lambda one: not one.is_loopback and not one.is_unspecified).map(str)
FOUR = st.ip_addresses(v=4).map(str).filter(lambda one: not one.startswith("127.") and one != "0.0.0.0")
IN_TEXT = [
    "Deployment {0}/{1} is not ready", "pod {0}-7d4b9c-x2x1z of {1}", '{{"service":"{0}","host":"{1}"}}',
    "{0}.{1}.svc.cluster.local", "{0}_{1}_HOST", "http://{0}:8080/x?y={1}", "\\n{0}\\t{1}", "image: {0}/{1}:v1.2",
    "<{0}>, '{1}'; [{0}] ({1})!", "{0}={1}", "system:serviceaccount:{0}:{1}", "  - name: {0}\n    value: {1}\n",
    'level=info msg="{0} calls {1}"',
]  # fmt: skip


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+(?:-[a-z0-9]+)*", re.sub(r"\\[nrt]", " ", text.lower().replace("_", "-")))


@settings(max_examples=40, deadline=None)
@given(one=NAME, other=NAME, shape=st.sampled_from(IN_TEXT), upper=st.booleans())
def test_a_known_name_is_hidden_in_any_text_and_comes_back_letter_by_letter(one, other, shape, upper):
    raw = shape.format(one, other)
    raw = raw.upper() if upper and "\\" not in raw else raw
    aliases = Aliases(secret="s", is_on=True)
    aliases.learn([one, other])

    hidden = aliases.hide(raw)
    again = Aliases(secret="s", is_on=True)
    again.resume(aliases.document())

    assert aliases.show(hidden) == raw
    assert again.show(hidden) == raw
    assert again.hide(hidden) == hidden
    left = words_of(re.sub(r"name-[0-9a-f]{12}", " ", hidden))
    assert not {one, other} & set(left), hidden


@settings(max_examples=40, deadline=None)
@given(
    address=SIX | FOUR,
    shape=st.sampled_from(["dial tcp [{}]:8080: refused", "{}: unreachable", '"{}"', "ip={},", "to {}/64", "({})"]),
)
def test_an_address_is_hidden_though_nobody_knew_it(address, shape):
    aliases = Aliases(secret="s", is_on=True)

    hidden = aliases.hide(shape.format(address))

    assert address not in hidden
    assert aliases.show(hidden) == shape.format(address)


def test_what_text_shows_to_be_a_name_is_hidden_without_being_known():
    aliases = Aliases(secret="s", is_on=True)
    raw = "\n".join(
        [
            "dial tcp: lookup ledgerdb on 10.0.0.10:53: no such host",
            "postgres://paymaster@vaultdb:5432/x refused",
            'up{namespace="moonbase",pod="x"} 0',
            "tenant=globex mail grace@globex.example",
            "upstream payments-gateway timed out at 11:02:03, ev-1, look-2, std::string, main.go:42, v1.2.3, 2026-05-04T11Z",
            "cannot reach billing.internal, orders.backoffice.svc.cluster.local; backoffice is not ready",
            "deployer@bastion: permission denied",
        ]
    )

    hidden = aliases.hide(raw)

    gone = [
        "ledgerdb", "10.0.0.10", "paymaster", "vaultdb", "moonbase", "globex", "payments-gateway", "billing", "grace", "orders",
        "backoffice", "deployer", "bastion",
    ]  # fmt: skip
    assert not any(name in hidden for name in gone)
    kept = ("lookup", "no such host", "11:02:03", "ev-1", "look-2", "std::string", "main.go:42", "v1.2.3", "2026-05-04T11Z")
    assert all(word in hidden for word in kept)
    assert aliases.show(hidden) == raw


def test_a_name_that_is_an_ordinary_word_is_hidden_where_a_name_stands_and_stays_in_prose():
    aliases = Aliases(secret="s", is_on=True)
    aliases.learn(["data", "orders", "api", "default", "zq-shop"])
    raw = "\n".join(
        [
            "Deployment zq-shop/data is not ready, and no data was read",
            'Pod "data": the api is slow; {"kind":"Service","name":"api","namespace":"default"}',
            "http://api:8080/x and api.zq-shop.svc and data:5432",
            "Deployment/zq-shop/api, ConfigMap orders",
        ]
    )

    hidden = aliases.hide(raw)
    again = Aliases(secret="s", is_on=True)
    again.resume(aliases.document())

    assert "no data was read" in hidden
    assert "the api is slow" in hidden
    assert "default" in hidden
    left = hidden.replace("no data was read", "").replace("the api is slow", "")
    assert not {"data", "orders", "api", "zq-shop"} & set(words_of(re.sub(r"name-[0-9a-f]{12}", " ", left))), left
    assert aliases.show(hidden) == again.show(again.hide(hidden)) == raw


def test_a_long_hostile_line_takes_no_time_to_speak_of():
    aliases = Aliases(secret="s", is_on=True)
    aliases.learn(["a-b"])

    aliases.learn(["data"])
    for line in ("_0" * 3000, "a." * 3000, "a:" * 3000, "f:" * 3000, "x@" * 3000, 'a="' * 3000, "a/" * 3000, "pod data " * 1000):
        assert aliases.show(aliases.hide(line)) == line


CANARIES = [
    "zq-shop",
    "zqweb",
    "zq-team",
    "zq-release",
    "zq-node",
    "zqhost",
    "zqclaim",
    "zq-user",
    "zqdb",
    "zq-cert",
    "fd00:77::9",
]


def telling():
    """A cluster whose names stand in places of every kind, and in its logs."""
    snapshot = crashing()
    pod = builders.obj(
        "Pod", "zqweb-0", namespace="zq-shop", spec={"containers": [builders.container()]}, status={"phase": "Pending"}
    )
    pod["metadata"]["labels"] = {"team": "zq-team", "zq-owner.example/part": "zqpart"}
    pod["metadata"]["annotations"] = {"meta.helm.sh/release-name": "zq-release"}
    pod["spec"] |= {"nodeName": "zq-node", "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "zqclaim"}}]}
    pod["status"]["podIPs"] = [{"ip": "fd00:77::9"}]
    release = builders.obj("Secret", "sh.helm.release.v1.zq-release.v3", namespace="zq-shop")
    release["metadata"]["labels"] = {"owner": "helm", "name": "zq-release", "version": "3", "status": "failed"}
    rules = {"rules": [{"host": "zqhost.example.com"}], "tls": [{"secretName": "zq-cert"}]}
    ingress = builders.obj("Ingress", "zq-door", namespace="zq-shop", spec=rules)
    subjects = [{"kind": "User", "name": "zq-user@zqhost.example.com"}]
    binding = builders.obj("RoleBinding", "zq-binding", namespace="zq-shop", subjects=subjects)
    log = "zqweb: cannot reach zqdb.zq-shop.svc at [fd00:77::9]:5432 for zq-user"
    space = builders.obj("Namespace", "zq-shop", namespace="")
    logs = (ContainerLog(namespace="zq-shop", pod="zqweb-0", container="app", previous=False, text=log),)
    return replace(
        snapshot,
        objects=(*snapshot.objects, space, pod, release, ingress, binding),
        logs=(*snapshot.logs, *logs),
    )


def nosy(talk: Talk):
    """Asks for everything, by the aliases that it was told."""
    kinds = ("Pod", "Secret", "Ingress", "RoleBinding", "Namespace", "Deployment")
    if talk.turn == 0:
        return Calls(
            [("list_objects", {"kind": kind}) for kind in kinds] + [("helm_releases", {}), ("events", {}), ("changes", {})]
        )
    if talk.turn == 1:
        listed = re.findall(r"(Pod|Ingress|RoleBinding) (name-\w+)/(name-\w+(?:-\d+)?)", "\n".join(talk.results()))
        wanted = [("get_object", {"kind": kind, "namespace": space, "name": name}) for kind, space, name in listed]
        logs = [("logs", {"namespace": space, "pod": name}) for kind, space, name in listed if kind == "Pod"]
        return Calls([*wanted[:8], *logs[:3]])
    return conclude(causes=[claim(finding(talk), looked(talk, "DATABASE_URL"))], summary=f"It is {finding(talk)['name']}.")


async def test_no_name_of_the_cluster_stands_in_anything_that_is_sent(tmp_path):
    snapshot = telling()
    question = "why does web in the namespace shop not come up, and zqweb in zq-shop?"

    run = await played(tmp_path, nosy, snapshot=snapshot, model_hide_names=True, question=question)

    sent = "\n".join(run.server.raw).lower()
    assert "cannot reach" in sent  # the log was read
    assert "helm: releases" in sent
    assert [name for name in CANARIES if name in sent] == []
    told = [str(message["content"]) for talk in run.server.talks for message in talk.messages[1:]]
    words = set(words_of(re.sub(r"name-[0-9a-f]{12}", " ", "\n".join(told))))
    names = {name.lower() for name in names_in(snapshot.objects) if len(name) > 1} - VOCABULARY
    assert {name for name in names & words if not name.isdecimal()} == set()
    assert run.assessment.outcome == "answered", run.assessment
    assert run.assessment.dropped == ()
    assert run.assessment.said == "It is web."
    assert not re.search(r"name-[0-9a-f]{12}", render(run.report, "json"))

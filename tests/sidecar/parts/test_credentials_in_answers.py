"""What looks like a credential goes, wherever it stands in an answer; what only talks about one stays."""

import base64
import gzip
import json
import time

import pytest

from sidecar.reading import Mask
from sidecar.reading.redaction import LAST_APPLIED, Redaction
from sidecar.reading.shapes import names_a_credential

CANARY = "canary-4f9a1c7e2b"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJlLWNhbmFyeQ"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIcanary\nAAAA\n-----END RSA PRIVATE KEY-----"


@pytest.fixture
def mask():
    return Mask(b"k" * 32)


@pytest.mark.parametrize(
    "name",
    [
        *("DB_PASSWORD", "password", "MYSQL_ROOT_PASSWORD", "dbpassword", "PGPASSWORD", "REDIS_PASS", "API_KEY", "apiKey"),
        *(
            "client-secret",
            "CLIENT_SECRET",
            "GITHUB_TOKEN",
            "accessToken",
            "AWS_SECRET_ACCESS_KEY",
            "DATABASE_DSN",
            "db.password",
        ),
        *("PRIVATE_KEY", "CONNECTION_STRING", "JWT", "SMTP_PASSWD", "PASSWORD_2", "vault_secret_id", "SESSION_KEY"),
    ],
)
def test_a_name_that_is_a_credentials(name):
    assert names_a_credential(name)


@pytest.mark.parametrize(
    "name",
    [
        *("PASSWORD_FILE", "secretName", "TOKEN_TTL", "MAX_TOKENS", "TOKENIZERS_PARALLELISM", "PWD", "SECRET_PATH", "TOKEN_URL"),
        *(
            "API_KEY_HEADER",
            "KEYCLOAK_REALM",
            "MONKEY",
            "COMPASS",
            "CACHE_KEY",
            "PASSENGERS",
            "BYPASS",
            "MODE",
            "",
            "token_limit",
        ),
    ],
)
def test_a_name_that_only_talks_about_one(name):
    assert not names_a_credential(name)


@pytest.mark.parametrize(
    "text",
    [
        f"postgres://app:{CANARY}@db.bank.svc:5432/ledger",
        f"amqp://:{CANARY}@mq",
        f"postgres://app:p@{CANARY}@db.bank.svc:5432/ledger",
        f"amqp://a:{CANARY}@one,amqp://b:{CANARY}@two",
        f"Server=db;User Id=sa;Password={CANARY};Encrypt=true",
        f"token={JWT} {CANARY}"[: len(f"token={JWT}")] + f" password={CANARY}",
        f'{{"user": "app", "password": "{CANARY}"}}',
        f'{{\\"password\\": \\"{CANARY}\\"}}',
        f"Authorization: Bearer {CANARY}",
        f"serve --db-password {CANARY} --port 80",
        f"serve --db-password={CANARY}",
        f"ghp_{CANARY.replace('-', 'x') * 3} {CANARY}"[:40],
        PEM.replace("canary", CANARY),
        f"https://hooks.slack.com/services/T000/B000/{CANARY.replace('-', '')}",
        f"AWS_SECRET_ACCESS_KEY={CANARY}",
    ],
)
def test_a_credential_within_a_text_goes_and_the_rest_stays(mask, text):
    shown = mask.text(text)
    assert CANARY not in shown
    assert "*hidden-" in shown
    assert mask.text(shown) == shown


@pytest.mark.parametrize(
    "line",
    [
        f"mysqladmin ping -uroot -p{CANARY}",
        f"/usr/bin/mysql -u root -p'{CANARY}' -e 'select 1'",
        f"redis-cli -h db -a {CANARY} ping",
        f"sshpass -p {CANARY} ssh db",
        f"mongosh -u app -p {CANARY}",
        f"curl -fsS -u admin:{CANARY} http://web/healthz",
        f"curl --user=admin:{CANARY} http://web/healthz",
        f"ldapsearch -x -w {CANARY}",
        f"docker login -u app -p {CANARY} registry.k8s.io",
        f"curl -H 'X-Api-Key: {CANARY}' http://web/healthz",
        f"java -jar web.jar --requirepass {CANARY}",
        f"kubectl create secret generic db --from-literal=password={CANARY}",
    ],
)
def test_what_a_tool_is_given_to_log_in_with_is_not_shown(mask, line):
    """Of the short options only the tool itself knows; as a list of arguments, within a shell's one, and in a message."""
    shell = f'set -e; export OPTS="-Dmode=fast -Ddb.password={CANARY}"; {line} | cat'
    event = f"Exec lifecycle hook ([/bin/sh -c {line}]) failed"
    quoted = line.replace("'", "")
    words = [word.replace("~", " ") for word in quoted.replace("X-Api-Key: ", "X-Api-Key:~").split(" ")]
    document = {"command": words, "args": ["sh", "-c", shell], "message": event}
    shown = Redaction(mask, "pods").clear(document)
    assert CANARY not in json.dumps(shown)
    assert shown["command"][0] == words[0]
    assert shown["args"][2].startswith('set -e; export OPTS="-Dmode=fast -Ddb.password=*hidden-')
    assert shown["args"][2].endswith(" | cat")
    assert mask.text(shown["args"][2]) == shown["args"][2]


@pytest.mark.parametrize(
    "document",
    [
        {"httpHeaders": [{"name": "Authorization", "value": CANARY}, {"name": "Cookie", "value": f"session={CANARY}"}]},
        {"httpHeaders": [{"name": "X-Forwarded-Authorization", "value": f"Authorization: Token {CANARY}"}]},
        {"values": {"auth": {"adminPassword": CANARY}, "store": {"storage_account_key": CANARY}}},
        {"values": f"auth:\n  password: {CANARY}\n"},
        {"env": [{"name": "APP_CONFIG", "value": f"auth:\n  password: {CANARY}\n"}]},
        {"values": {"auth": {"adminPassword": 4917263845}}, "headers": [{"key": "X-Api-Key", "value": CANARY}]},
        {"token": "abcdef.0123456789abcdef", "secret": "Canary4f9a1c7e2b"},
        {"metadata": {"annotations": {"tool.example/password": CANARY, "tool.example/api-token": "Canary4f9a1c7e2b"}}},
        {"message": f"login failed for 'app' using password: {CANARY}"},
        {"kind": "ConfigMap", "data": {"site.xml": f"<name>db.password</name><value>{CANARY}</value>"}},
        {"kind": "ConfigMap", "data": {"app.xml": f"<db><password>{CANARY}</password></db>"}},
        {"kind": "ConfigMap", "data": {"redis.conf": f"port 6379\nrequirepass {CANARY}\n"}},
        {"kind": "ConfigMap", "data": {"nginx.conf": f"proxy_set_header Authorization {CANARY};"}},
        {"kind": "ConfigMap", "data": {"config.json": json.dumps({"auths": {"r": {"auth": "YWRtaW46Y2FuYXJ5LTRmOWExYzdl"}}})}},
        {"kind": "ConfigMap", "data": {".pgpass": f"db:5432:*:app:{CANARY}"}},
    ],
    ids=range(15),
)
def test_places_of_a_credential_that_say_so_by_their_name_only(mask, document):
    text = json.dumps(Redaction(mask, "things").clear(document))
    for value in (CANARY, "4917263845", "abcdef.0123456789abcdef", "Canary4f9a1c7e2b", "YWRtaW46Y2FuYXJ5LTRmOWExYzdl"):
        assert value not in text
    assert "*hidden-" in text


@pytest.mark.parametrize(
    "document",
    [
        {"ref": {"passwordSecret": "db-credentials-2", "secretName": "db", "token": "app-token-x7k2p", "passwordKey": "pw"}},
        {"metadata": {"annotations": {"nginx.ingress.kubernetes.io/auth-secret": "shop/basic-auth-2"}}},
        {"command": ["mysql", "-p", "shop"], "args": ["sh", "-c", 'mysql -uroot -p"$MYSQL_ROOT_PASSWORD"; mkdir -p /data/x']},
        {"command": ["sh", "-c", "curl -u $USER http://web -p 80; tar -a -p x; redis-server -p 6379 -a"]},
        {"message": "level=fatal\ntoken: invalid signature\npassword: not accepted"},
        {"message": "Access denied for user 'app'@'10.0.0.7' (using password: YES)\ntoken expired\nsecret shop/db-2"},
        {"data": {"mongod.conf": "security:\n  authorization: enabled\n"}, "kind": "ConfigMap"},
    ],
    ids=range(7),
)
def test_names_of_credentials_and_options_of_other_tools_stay(mask, document):
    assert Redaction(mask, "things").clear(json.loads(json.dumps(document))) == document


def test_a_column_of_a_table_goes_by_its_name_also_in_the_rows_that_come_later(mask):
    head = {"kind": "Table", "columnDefinitions": [{"name": "Name"}, {"name": "Admin Password"}, {"name": "Age"}]}
    redaction = Redaction(mask, "databases")
    first = redaction.clear({"type": "ADDED", "object": {**head, "rows": [{"cells": ["db", CANARY, "3d"], "object": {}}]}})
    later = redaction.clear({"type": "ADDED", "object": {"kind": "Table", "rows": [{"cells": ["other", CANARY, "3d"]}]}})
    assert CANARY not in json.dumps([first, later])
    assert later["object"]["rows"][0]["cells"][::2] == ["other", "3d"]


def test_the_rest_of_an_address_stays(mask):
    shown = mask.text(f"postgres://app:{CANARY}@db.bank.svc:5432/ledger")
    assert shown.startswith("postgres://app:*hidden-")
    assert shown.endswith("*@db.bank.svc:5432/ledger")


@pytest.mark.parametrize(
    "text",
    [
        "postgres://app@ledger-db.bank.svc:5432/ledger",
        "http://catalog.shop.svc:8080",
        'FATAL: password authentication failed for user "app"',
        "couldn't find key DB_PASSWORD in Secret shop/db",
        'secret "db-credentials" not found',
        "password=$(DB_PASSWORD)",
        "password=${DB_PASSWORD}",
        "token_file=/var/run/secrets/token",
        'Back-off pulling image "registry.k8s.io/web:2"',
        '2026-03-01T12:00:00Z level=info msg="started" port=8080',
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ],
)
def test_a_text_without_a_credential_stays_as_it_is(mask, text):
    assert mask.text(text) == text


def test_the_same_value_has_the_same_mark_and_another_process_has_another(mask):
    assert mask.mark(CANARY) == mask.mark(CANARY) != mask.mark(CANARY + "x")
    assert Mask().mark(CANARY) != Mask().mark(CANARY)


CONTAINER = {
    "name": "main",
    "image": "shop/web:1",
    "command": ["serve", "--token", CANARY, f"--api-key={CANARY}", "--port", "80"],
    "env": [
        {"name": "DB_PASSWORD", "value": CANARY},
        {"name": "DATABASE_URL", "value": f"postgres://app:{CANARY}@db/x"},
        {"name": "MODE", "value": "fast"},
        {"name": "FROM_SECRET", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
    ],
}
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [CONTAINER], "initContainers": [CONTAINER]}}


def workload(kind: str) -> dict:
    spec = {"jobTemplate": {"spec": {"template": TEMPLATE}}} if kind == "CronJob" else {"template": TEMPLATE}
    annotations = {LAST_APPLIED: json.dumps({"kind": kind, "spec": spec}), "note": f"password={CANARY}"}
    return json.loads(json.dumps({"kind": kind, "metadata": {"name": "web", "annotations": annotations}, "spec": spec}))


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Rollout"])
def test_environment_and_arguments_of_every_template_and_of_its_copies_lose_their_credentials(mask, kind):
    shown = Redaction(mask, kind.lower() + "s").clear(workload(kind))
    text = json.dumps(shown)
    assert CANARY not in text
    assert '"MODE", "value": "fast"' in text
    assert '"key": "password"' in text
    assert '"--port", "80"' in text
    assert "DB_PASSWORD" in shown["metadata"]["annotations"][LAST_APPLIED]


@pytest.mark.parametrize("wrapped", [lambda o: o, lambda o: {"items": [o]}, lambda o: {"rows": [{"cells": [], "object": o}]}])
def test_a_config_map_keeps_its_settings_and_loses_its_credentials(mask, wrapped):
    release = base64.b64encode(CANARY.encode() * 30).decode()
    properties = f"db.user=app\ndb.password = {CANARY} x\nmode=fast\n"
    document = {
        "metadata": {"name": "settings"},
        "data": {
            "mode": "fast",
            "DB_PASSWORD": CANARY,
            "app.properties": properties,
            "app.yaml": f"db:\n  user: app\n  password: {CANARY}\n  url: mysql://a:{CANARY}@db\nlevel: info\n",
            "block.yaml": f"password: |\n  {CANARY}\nlevel: info\n",
            "app.json": json.dumps({"token": CANARY, "level": "info"}),
            "id_rsa": PEM.replace("canary", CANARY),
            "release": release,
        },
        "binaryData": {"key.pem": base64.b64encode(PEM.encode()).decode(), "logo": base64.b64encode(b"\x00logo").decode()},
    }
    text = json.dumps(Redaction(mask, "configmaps").clear(wrapped(document)))
    assert CANARY not in text
    assert release not in text
    assert base64.b64encode(PEM.encode()).decode() not in text
    for kept in (
        '"mode": "fast"',
        "db.user=app",
        "mode=fast",
        "level: info",
        "user: app",
        base64.b64encode(b"\x00logo").decode(),
    ):
        assert kept in text, kept


def test_a_secret_within_something_else_is_one_too(mask):
    inner = {
        "kind": "Secret",
        "data": {"a": CANARY},
        "stringData": {"b": CANARY},
        "metadata": {"annotations": {LAST_APPLIED: CANARY}},
    }
    shown = Redaction(mask, "templates").clear({"spec": {"manifests": [inner]}})
    assert CANARY not in json.dumps(shown)
    assert shown["spec"]["manifests"][0]["data"] == {"a": ""}


def test_copies_of_a_secret_in_its_annotations_are_not_shown_in_any_form(mask):
    manifest = {"kind": "Secret", "metadata": {"name": "db"}, "data": {"a": CANARY}}
    packed = base64.b64encode(gzip.compress(json.dumps(manifest).encode())).decode()
    copies = {
        "objectset.rio.cattle.io/applied": packed,
        "tool/json-patch": json.dumps([{"op": "add", "path": "/data/a", "value": CANARY}]),
        "tool/flat": json.dumps({"a": CANARY}),
        "tool/yaml": f"kind: Secret\ndata:\n  a: {CANARY}\n",
        "tool/words": f"{CANARY} " * 12,
        "tool/password": CANARY,
    }
    kept = {"kubernetes.io/service-account.name": "web"}
    document = {"items": [{"metadata": {"name": "db", "annotations": {**copies, **kept}}, "data": {"a": CANARY}}]}
    shown = Redaction(mask, "secrets").clear(document)
    text = json.dumps(shown)
    assert CANARY not in text
    assert packed not in text
    assert kept.items() <= shown["items"][0]["metadata"]["annotations"].items()
    deployment = {"kind": "Deployment", "metadata": {"annotations": {"objectset.rio.cattle.io/applied": packed}}}
    assert packed not in json.dumps(Redaction(mask, "deployments").clear(deployment))


@pytest.mark.parametrize("kind", ["SealedSecret", "ExternalSecret"])
def test_what_a_secret_is_made_of_keeps_its_keys_only(mask, kind):
    spec = {"template": {"data": {"a": CANARY}}, "target": {"template": {"data": {"a": CANARY}}}, "data": [{"secretKey": "a"}]}
    shown = Redaction(mask, kind.lower() + "s").clear({"kind": kind, "spec": spec})
    assert CANARY not in json.dumps(shown)
    assert shown["spec"]["template"]["data"] == {"a": ""}
    assert shown["spec"]["data"] == [{"secretKey": "a"}]


def test_messages_of_events_and_conditions_lose_them_too(mask):
    event = {"kind": "Event", "message": f"cannot reach postgres://app:{CANARY}@db/x", "involvedObject": {"name": "web"}}
    assert CANARY not in json.dumps(Redaction(mask, "events").clear(event))


@pytest.mark.parametrize(
    "text",
    [
        "password = a" + " " * 400_000 + "b",
        "eyJ-" * 100_000,
        "a" * 400_000 + "= token",
        "-----BEGIN A" * 40_000,
        'password="' * 40_000,
        '"token":"x\\' * 40_000,
        "http://a:" * 40_000 + "token",
        "--token " * 50_000,
        "Bearer  " * 50_000,
        "password: |\n" + "  x\n" * 100_000,
        "gh" * 200_000 + "sk-" * 50_000,
        "a=" * 200_000 + "token",
        "<token>" * 50_000,
        "curl -u " * 50_000,
        "curl -u '" * 50_000,
        "mysql -p\"'" * 50_000,
        "Authorization: " * 40_000,
        "-H a: " * 60_000,
        "password " * 40_000,
        "password:" * 40_000,
        "<name>token</name><value>" * 20_000,
    ],
    ids=range(21),
)
def test_a_text_made_to_take_long_does_not(mask, text):
    began = time.process_time()
    mask.settings(text)
    assert time.process_time() - began < 20  # a search that comes back to where it was takes hours for these

"""Incidents that only the logs of a workload tell of, and what was changed before them."""

from tests.agent.builders import app
from tests.agent.checks.cases import World, case
from tests.agent.checks.logbooks import edited, failing_log, reading, repeated


@case("application-error", "Deployment/web")
def _() -> World:
    objects = app("web", minutes=600)
    return objects, [failing_log(objects[2])]


@case("errors-after-config-change", "ConfigMap/settings")
def _() -> World:
    volumes = [{"name": "settings", "configMap": {"name": "settings"}}]
    objects = app("web", minutes=600, pod={"volumes": volumes})
    return [*objects, edited("ConfigMap", "settings", minutes=5)], [failing_log(objects[2])]


@case("config-stale", "Deployment/web")
def _() -> World:
    objects = app("web", minutes=600, containers=[reading("ConfigMap", "settings")])
    return [*objects, edited("ConfigMap", "settings", minutes=2)], [failing_log(objects[2])]


@case("external-dependency-failing", "Deployment/web")
def _() -> World:
    objects = app("web", minutes=600)
    return objects, [repeated(objects[2], 'ERROR Post "https://api.pay.example.com/v1/charges": dial tcp: i/o timeout')]


@case("credentials-refused", "Deployment/web")
def _() -> World:
    objects = app("web", minutes=600, containers=[reading("Secret", "login")])
    said = 'FATAL: password authentication failed for user "shop"'
    return [*objects, edited("Secret", "login", minutes=9, key="password")], [repeated(objects[2], said)]

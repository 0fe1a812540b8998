"""The deliveries file: taken whole or not at all, and what is wrong with it is said with its place."""

import pytest

from agent.delivery.orders import Orders, read_orders
from agent.errors import InputError
from tests.agent.slack.reports import incident

GOOD = """
channels:
  - {channel: C0PAY, namespaces: ["pay-*"], severities: [critical]}
  - {channel: C0SHOP, labels: {team: shop}}
places:
  - {name: archive, file: {folder: reports, formats: [md, html]}}
  - {name: handbook, git: {folder: /srv/handbook}}
  - {name: tickets, webhook: {url: "https://tickets.example/hook", secret_file: secret}, severities: [critical]}
  - {name: team, slack: {channel: C0TEAM}, of: [questions]}
summary: {day: friday, hour: 15, to: [archive, team]}
"""


@pytest.fixture
def read(tmp_path):
    def read(text: str) -> Orders:
        (tmp_path / "deliveries.yaml").write_text(text)
        return read_orders(tmp_path / "deliveries.yaml")

    return read


def alerting(**labels: str):
    one = incident()
    alert = one.alerts[0]
    return incident(alerts=(type(alert)(name=alert.name, labels={"alertname": "X", **labels}),))


def test_the_first_channel_that_fits_gets_the_thread_and_the_default_the_rest(read):
    orders = read(GOOD)
    assert orders.channel_for(alerting(namespace="pay-eu", severity="critical"), "C0ALL") == "C0PAY"
    assert orders.channel_for(alerting(namespace="pay-eu", severity="warning"), "C0ALL") == "C0ALL"
    assert orders.channel_for(alerting(namespace="web", team="shop"), "C0ALL") == "C0SHOP"
    assert orders.channel_for(alerting(namespace="web"), "") == ""


def test_a_place_wants_what_fits_it(read):
    archive, _, tickets, team = read(GOOD).places
    question = incident(alerts=(), question="why?")
    assert [place.wants(question) for place in (archive, tickets, team)] == [True, False, True]
    assert [place.wants(alerting(severity="critical")) for place in (archive, tickets, team)] == [True, True, False]
    assert not tickets.wants(alerting(severity="warning"))


def test_relative_paths_are_beside_the_file_and_no_file_orders_nothing(read, tmp_path):
    orders = read(GOOD)
    assert orders.places[0].file.folder == tmp_path / "reports"
    assert orders.places[1].git.folder.as_posix() == "/srv/handbook"
    assert orders.places[2].webhook.secret_file == tmp_path / "secret"
    assert read_orders(None) == read("") == Orders()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("places: [{name: a, file: {folder: x}, git: {folder: y}}]", "places.0: exactly one of"),
        ("places: [{name: a}]", "exactly one of"),
        ("places: [{name: a, file: {folder: x}}, {name: a, file: {folder: y}}]", "same name"),
        ("places: [{name: A b, file: {folder: x}}]", "places.0.name"),
        ("places: [{name: a, webhook: {url: 'http://tickets.example/x'}}]", "places.0.webhook.url: an https URL"),
        ("places: [{name: a, webhook: {url: 'https://u:p@tickets.example/x'}}]", "without user"),
        ("channels: [{channel: '#shop'}]", "channels.0.channel"),
        ("channels: [{channel: C0X, namespace: a}]", "channels.0.namespace: Extra inputs"),
        ("summary: {day: someday, to: [a]}", "summary.day"),
        ("summary: {to: [nobody]}", "no place is called nobody"),
        ("places: [", "line 1: not YAML"),
        ("places: 2026-13-01", "not YAML"),
        ("- a", "the file"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(read, text, said):
    with pytest.raises(InputError) as failed:
        read(text)
    assert said in str(failed.value)
    assert "\n" not in str(failed.value)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_orders(tmp_path / "nowhere.yaml")

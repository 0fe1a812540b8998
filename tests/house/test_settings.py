"""What `config` shows of either program never holds a password."""

import pytest

import agent.settings
import sidecar.settings


def test_the_agent_shows_urls_without_their_password():
    settings = agent.settings.Settings(prometheus_url="https://reader:a/hunter2@prometheus.example:9090/x")

    rows = {row.name: row.value for row in agent.settings.describe(settings, environ={})}

    assert rows["prometheus_url"] == "https://reader:***@prometheus.example:9090/x"
    assert not any("hunter2" in value for value in rows.values())


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://lestrade:hunter2@db/lestrade", "postgresql://lestrade:***@db/lestrade"),
        ("postgresql://lestrade:a/hunter2@db/lestrade", "postgresql://lestrade:***@db/lestrade"),
        (
            "postgresql://db/lestrade?user=x&password=hunter2&sslmode=require",
            "postgresql://db/lestrade?user=x&password=***&sslmode=require",
        ),
    ],
)
def test_the_sidecar_shows_urls_without_their_password(url, shown):
    settings = sidecar.settings.Settings(database_url=url)

    rows = sidecar.settings.describe(settings, None)

    assert shown in [row.value for row in rows]
    assert not any("hunter2" in row.value for row in rows)

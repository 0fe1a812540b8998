"""What `config` shows of either program never holds a password."""

import agent.settings
import sidecar.settings


def test_the_agent_shows_urls_without_their_password():
    settings = agent.settings.Settings(prometheus_url="https://reader:hunter2@prometheus.example:9090/x")

    rows = {row.name: row.value for row in agent.settings.describe(settings, environ={})}

    assert rows["prometheus_url"] == "https://reader:***@prometheus.example:9090/x"
    assert not any("hunter2" in value for value in rows.values())


def test_the_sidecar_shows_urls_without_their_password():
    settings = sidecar.settings.Settings(database_url="postgresql://lestrade:hunter2@db/lestrade")

    rows = sidecar.settings.describe(settings, None)

    assert "postgresql://lestrade:***@db/lestrade" in [row.value for row in rows]
    assert not any("hunter2" in row.value for row in rows)

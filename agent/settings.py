"""Settings of the agent: environment (LESTRADE_*) over a TOML file over defaults. Knows nothing of what uses them."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

_PASSWORD = re.compile(r"(://[^/@:\s]*:)[^@\s]+@")  # a password may hold a slash
PREFIX = "LESTRADE_"


class SettingsError(ValueError):
    """A setting cannot be used: which one, why, in one line."""


class Settings(BaseSettings):
    """Every field is `LESTRADE_<NAME>` in the environment and `<name>` in the TOML file."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    cluster: str = Field("", description="name of the cluster in plans and reports; empty: the context's name")
    kubeconfig: Path | None = Field(None, description="kubeconfig file to read the cluster with; empty: read through the sidecar")
    context: str = Field("", description="context of the kubeconfig; empty: its current one")
    prometheus_url: str = Field("", description="Prometheus to read metrics from; empty: no metrics")
    loki_url: str = Field(
        "", description="Loki, asked for logs that the cluster has no more, of pods that are gone too; empty: none"
    )
    sidecar_url: str = Field("", description="the sidecar: unix:///path or http://host:port; empty: diagnosis only")
    sidecar_token_file: Path | None = Field(None, description="file with the bearer token for the sidecar")
    sidecar_patience_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(
        20.0, description="how long a sidecar that does not answer is waited for, in the middle of a run"
    )
    database_url: str = Field(
        "",
        description="where runs are kept: sqlite:///path, or postgresql://user@host/database for more processes than one; "
        "empty: lestrade.sqlite in the user's state folder",
    )
    runbooks: Path | None = Field(
        None, description="folder of runbook pages of your own, laid over those that come with Lestrade"
    )
    recordings: Path | None = Field(None, description="folder of recordings with their truth, which `lestrade eval` is about")
    reports: Path = Field(Path("lestrade-reports"), description="folder that reports are written to")
    listen: str = Field("127.0.0.1:8180", description="host:port of `lestrade serve`")
    worker_listen: str = Field(
        "127.0.0.1:8184", description="host:port of the health and metrics of a `lestrade worker`, each its own; empty: none"
    )
    public_url: str = Field(
        "", description="where people's browsers find the agent's pages: https://host; empty: taken from each request"
    )
    approvals_url: str = Field(
        "", description="where people's browsers find the sidecar's approvals pages; empty: no links to them"
    )
    people_file: Path | None = Field(
        None, description="who may look and ask, by local token (`lestrade people`); empty, and no oidc_issuer: this machine only"
    )
    session_key_file: Path | None = Field(
        None, description="at least 32 bytes that sign sessions; empty: made at start, so that sessions end with the process"
    )
    oidc_issuer: str = Field("", description="identity provider of the people (OpenID Connect): its issuer, an https URL")
    oidc_client_id: str = Field(
        "", description="client id of the agent's pages at the identity provider; another one than the sidecar's"
    )
    oidc_client_secret_file: Path | None = Field(None, description="its client secret; a public client (PKCE only) has none")
    oidc_audience: str = Field("", description="audience of people's bearer tokens; empty: the client id")
    oidc_groups: str = Field(
        "", description="groups whose members may look and ask, separated by commas; empty: everybody of the provider"
    )
    oidc_groups_claim: str = Field("groups", description="claim that lists a person's groups; dots go deeper")
    workers: Annotated[int, Field(ge=0, le=64)] = Field(
        2,
        description="runs worked on at the same time by one process; 0: only take in, for `lestrade worker`",
    )
    cluster_runs: Annotated[int, Field(ge=1, le=256)] = Field(
        8, description="runs of one cluster worked on at the same time, by all processes together"
    )
    cluster_patience_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        600.0, description="how long `serve` and `worker` wait for a cluster that does not answer in the middle of a run"
    )
    mcp_token_file: Path | None = Field(
        None, description="file with the bearer token of whoever may use `lestrade mcp --http`, beside those of people_file"
    )
    server_url: str = Field("", description="a `lestrade serve` elsewhere that `lestrade ask` and `chat` speak with; empty: none")
    server_token_file: Path | None = Field(None, description="file with one's token for that service")
    chat_workers: Annotated[int, Field(ge=1, le=64)] = Field(
        4, description="questions of conversations answered at the same time by one process"
    )
    poll_seconds: Annotated[float, Field(gt=0, le=300)] = Field(2.0, description="pause between two looks of a verification")
    approval_wait_seconds: Annotated[int, Field(ge=0, le=60)] = Field(
        20, description="how long one question for an approval stays open"
    )
    metrics_window_minutes: Annotated[int, Field(ge=5, le=1440)] = Field(60, description="how far back metrics are read")
    log_tail: Annotated[int, Field(ge=1, le=5000)] = Field(300, description="lines read of one container's log")
    log_streams: Annotated[int, Field(ge=0, le=500)] = Field(
        60, description="container logs read for one diagnosis, suspects first"
    )
    max_readings: Annotated[int, Field(ge=1, le=10)] = Field(3, description="readings of the cluster before one diagnosis")
    max_rounds: Annotated[int, Field(ge=1, le=20)] = Field(5, description="remedies tried in one run")
    max_replans: Annotated[int, Field(ge=0, le=20)] = Field(
        4, description="plans proposed again in one run because policy named a fix, or the target changed"
    )
    claim_seconds: Annotated[int, Field(ge=1, le=3600)] = Field(
        60, description="a run whose process went silent for so long is taken over by another"
    )
    webhook_max_bytes: Annotated[int, Field(ge=1024, le=67_108_864)] = Field(
        16_777_216, description="largest webhook body that is taken"
    )
    webhook_token_file: Path | None = Field(None, description="file with the bearer token that Alertmanager sends; empty: none")
    webhook_user: str = Field("", description="user name that Alertmanager sends by basic authentication; empty: none")
    webhook_password_file: Path | None = Field(None, description="file with that user's password")
    ignored_alerts: str = Field(
        "Watchdog,InfoInhibitor", description="names of alerts that are kept and never looked into, separated by commas"
    )
    join_window_seconds: Annotated[int, Field(ge=0, le=86_400)] = Field(
        600, description="an alert joins an open run about the same workload or node that had an alert so lately"
    )
    reopen_seconds: Annotated[int, Field(ge=0, le=2_592_000)] = Field(
        3600, description="an alert that goes on firing after its run ended is looked into again after so long"
    )
    max_queued_runs: Annotated[int, Field(ge=1, le=10_000)] = Field(
        50, description="runs that may wait; alerts beyond that go to one run together (critical ones: a fifth more may wait)"
    )
    propose_silence_minutes: Annotated[int, Field(ge=0, le=1440)] = Field(
        0,
        description="a silence so long is put before people after a run whose cause is known and left to them while its alerts "
        "fire on; 0: none",
    )
    alertmanager_url: str = Field("", description="Alertmanager, asked what is silenced and what else fires; empty: none")
    tempo_url: str = Field("", description="Tempo, asked for requests that failed or took long; empty: none")
    jaeger_url: str = Field("", description="Jaeger, asked for requests that failed or took long; empty: none")
    grafana_url: str = Field("", description="Grafana, asked for annotations: what was marked as deployed; empty: none")
    grafana_token_file: Path | None = Field(None, description="file with a Grafana token that may read annotations")
    endpoints_file: Path | None = Field(
        None,
        description="YAML file with HTTP endpoints that a model may read, allow-listed, and what is asked of them without one",
    )
    mcp_file: Path | None = Field(
        None,
        description="YAML file with MCP servers whose reading tools a model may use, pinned, and what is asked without one",
    )
    model: str = Field("", description="language model to ask besides the offline reasoner; empty: none is asked")
    model_url: str = Field("", description="OpenAI-compatible server of the model (base URL); empty: api.openai.com")
    model_key_file: Path | None = Field(None, description="file with the model server's key; not needed where it asks for none")
    model_stream: bool = Field(True, description="take the model's answers as they come, and tell what it is doing")
    model_seconds: Annotated[float, Field(gt=0, le=3600)] = Field(120.0, description="how long one answer of the model may take")
    model_retries: Annotated[int, Field(ge=0, le=10)] = Field(2, description="how often a model that fails is asked again")
    model_context_tokens: Annotated[int, Field(ge=4000, le=10_000_000)] = Field(
        100_000, description="tokens that the model takes at once; older looks are shortened before that"
    )
    model_answer_tokens: Annotated[int, Field(ge=200, le=1_000_000)] = Field(
        8000, description="tokens that one answer of the model may have"
    )
    model_run_calls: Annotated[int, Field(ge=1, le=200)] = Field(24, description="answers of the model in one run")
    model_run_tokens: Annotated[int, Field(ge=1000)] = Field(400_000, description="tokens of the model in one run")
    model_run_cost: Annotated[float, Field(ge=0)] = Field(2.0, description="money for the model in one run, by model_prices")
    model_run_seconds: Annotated[float, Field(gt=0)] = Field(300.0, description="seconds that a model may investigate in one run")
    model_day_tokens: Annotated[int, Field(ge=0)] = Field(10_000_000, description="tokens of all runs in 24 hours")
    model_day_cost: Annotated[float, Field(ge=0)] = Field(50.0, description="money of all runs in 24 hours, by model_prices")
    model_prices: str = Field(
        "", description="prices by model, MODEL=INPUT/OUTPUT per million tokens, separated by commas; a model without one is free"
    )
    model_hide_names: bool = Field(
        False, description="names of the cluster and addresses leave this house as aliases only, and come back as themselves"
    )
    model_cache_minutes: Annotated[int, Field(ge=0, le=10_080)] = Field(
        30, description="how long what a model concluded of the same findings is used again; 0: never"
    )
    keep_days: Annotated[int, Field(ge=0, le=36_500)] = Field(
        90, description="days that finished runs are kept with their reports and evidence, and conversations; 0: for ever"
    )
    keep_raw_days: Annotated[int, Field(ge=0, le=36_500)] = Field(
        30, description="days that timelines and checkpoints of finished runs and the book of alerts are kept; 0: as keep_days"
    )
    model_parallel: Annotated[int, Field(ge=1, le=32)] = Field(4, description="questions of the model that are looked up at once")
    otlp_endpoint: str = Field(
        "", description="collector that traces go to (OTLP over HTTP); empty: what OTEL_EXPORTER_OTLP_ENDPOINT says, or none"
    )
    slack_bot_token_file: Path | None = Field(None, description="file with the bot token of the agent's own Slack app (xoxb-...)")
    slack_app_token_file: Path | None = Field(None, description="file with its app-level token (xapp-...), for Socket Mode")
    slack_signing_secret_file: Path | None = Field(
        None, description="file with its signing secret, for HTTP (POST /slack/events)"
    )
    slack_channel: str = Field(
        "", description="id of the channel that incidents are posted to; empty: only where `deliveries` routes"
    )
    slack_teams: str = Field(
        "", description="ids of workspaces whose people may ask, with commas; empty: whoever can reach the app"
    )
    slack_people: str = Field("", description="ids of the people who may ask, with commas; empty: everybody of the workspace")
    slack_threads_a_minute: Annotated[int, Field(ge=1, le=1000)] = Field(
        10, description="incidents that get a message of their own within a minute; the others share one"
    )
    slack_api_url: str = Field("https://slack.com/api/", description="Slack's Web API")
    deliveries: Path | None = Field(
        None,
        description="YAML file that says where reports are delivered, which channel incidents go to, and when a summary is due",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least severe line that is logged")

    def database(self) -> str:
        """`database_url`, or the default file."""
        if self.database_url:
            return self.database_url
        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        return f"sqlite:///{state / 'lestrade' / 'lestrade.sqlite'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One row of `lestrade config`. `source` is default, environment or the file's path."""

    name: str
    variable: str
    type: str
    default: str
    value: str
    source: str
    doc: str


def load(config: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Raises SettingsError. `config` falls back to LESTRADE_CONFIG."""
    environment = os.environ if environ is None else environ
    path = config or (Path(environment["LESTRADE_CONFIG"]) if environment.get("LESTRADE_CONFIG") else None)
    values: dict[str, Any] = _read(path) if path else {}
    from_environment = {
        name: environment[variable] for name in Settings.model_fields if (variable := PREFIX + name.upper()) in environment
    }
    for name, text in from_environment.items():
        values[name] = None if text == "" and Settings.model_fields[name].default is None else text
    try:
        return Settings.model_validate(values)
    except ValidationError as exc:
        fault = exc.errors(include_url=False, include_input=False)[0]
        name = str(fault["loc"][0]) if fault["loc"] else "?"
        where = PREFIX + name.upper() if name in from_environment else f"{name} in {path}"
        said = f"{name} is no setting" if fault["type"] == "extra_forbidden" else fault["msg"].removeprefix("Value error, ")
        raise SettingsError(f"setting {where}: {said} (see `lestrade config`)") from None


def describe(settings: Settings, config: Path | None = None, environ: Mapping[str, str] | None = None) -> list[Described]:
    """Every setting with its meaning, and where its present value comes from."""
    environment = os.environ if environ is None else environ
    path = config or (Path(environment["LESTRADE_CONFIG"]) if environment.get("LESTRADE_CONFIG") else None)
    in_file = _read(path) if path else {}
    rows = []
    for name, field in Settings.model_fields.items():
        variable = PREFIX + name.upper()
        source = "environment" if variable in environment else str(path) if name in in_file else "default"
        rows.append(
            Described(
                name=name,
                variable=variable,
                type=getattr(field.annotation, "__name__", str(field.annotation)).replace("typing.", ""),
                default=_text(field.default),
                value=_text(getattr(settings, name)),
                source=source,
                doc=field.description or "",
            )
        )
    return rows


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise SettingsError(f"settings file {path}: {exc.strerror or exc}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise SettingsError(f"settings file {path}: not TOML: {exc}") from None


def _text(value: object) -> str:
    """As it may be shown: a URL keeps its user and loses its password."""
    return "" if value is None else _PASSWORD.sub(r"\1***@", str(value))

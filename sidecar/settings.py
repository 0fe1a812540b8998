"""Settings of the sidecar: environment over a TOML file over defaults. Knows nothing of what uses them.

In the environment every key has the name that `VARIABLES` says (LESTRADE_SIDECAR_<KEY>, but for LESTRADE_OPA_URL,
which other programs share); in the file it is the key itself, lower case.
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from sidecar.contract.refs import DnsLabel, Slug
from sidecar.errors import SettingsError

# As SQLAlchemy reads a URL: a password may hold a slash, and may stand among the parameters.
_PASSWORD = re.compile(r"(?P<before>://[^/@:\s]*:)[^@\s]+(?=@)|(?P<name>[?&](?:ssl)?password=)[^&\s]+", re.IGNORECASE)
PREFIX = "LESTRADE_SIDECAR_"
ClusterName = Annotated[str, StringConstraints(pattern=r"^$|^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$")]

ObjectPlace = Annotated[str, StringConstraints(pattern=r"^$|^[a-z0-9][a-z0-9-]{0,62}/[a-z0-9][a-z0-9.-]{0,252}$")]


def _default_state() -> Path:
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return state / "lestrade-sidecar"


class Settings(BaseSettings):
    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    state: Path = Field(
        default_factory=_default_state,
        description="folder for the database, the journal's anchor, keys and the people file; default: the user's state folder",
    )
    socket: Path | None = Field(None, description="Unix socket for the agent; default: agent.sock in the state folder")
    listen: str = Field("", description="host:port for the agent instead of the socket; loopback only")
    socket_group_access: bool = Field(
        False, description="the socket may be opened by the group of its folder too: an agent under another user id"
    )
    token_file: Path | None = Field(
        None, description="the agent's bearer token; default: agent.token in the state folder, made when missing"
    )
    tls_cert_file: Path | None = Field(
        None, description="certificate of the agent's TCP listener; kubectl sends its token over TLS only"
    )
    tls_key_file: Path | None = Field(None, description="key of that certificate")
    people_listen: str = Field("127.0.0.1:8182", description="host:port of the people's listener")
    people_file: Path | None = Field(
        None, description="TOML file of people, hashes of their tokens, and roles; default: people.toml in the state folder"
    )
    people_tls_cert_file: Path | None = Field(None, description="certificate of the people's listener")
    people_tls_key_file: Path | None = Field(None, description="key of that certificate")
    oidc_issuer: str = Field("", description="identity provider of the people (OpenID Connect): its issuer, an https URL")
    oidc_client_id: str = Field("", description="client id of the approvals page at the identity provider")
    oidc_client_secret_file: Path | None = Field(None, description="its client secret; a public client (PKCE only) has none")
    oidc_audience: str = Field("", description="audience of people's bearer tokens; default: the client id")
    oidc_groups_claim: str = Field("groups", description="claim that lists a person's groups; dots go deeper")
    oidc_name_claim: str = Field("name", description="claim that says how a person is called; for showing only")
    oidc_roles: dict[str, tuple[Slug, ...]] = Field(
        default_factory=dict, description='what membership in a group means, as JSON or a TOML table: {"sre-team": ["sre"]}'
    )
    oidc_membership_seconds: Annotated[int, Field(ge=60, le=86_400)] = Field(
        3600, description="how long a membership counts that a token said; then the person has to log in again"
    )
    most_plans_a_minute: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        120, description="new plans that are judged within a minute; more are told to wait"
    )
    most_cards_waiting: Annotated[int, Field(ge=1, le=1000)] = Field(20, description="approvals that may wait at once")
    most_cards_a_minute: Annotated[int, Field(ge=1, le=10_000)] = Field(10, description="approvals asked for within a minute")
    most_cards_an_hour: Annotated[int, Field(ge=1, le=10_000)] = Field(
        30, description="approvals asked for within an hour for one incident or one namespace"
    )
    kubeconfig: Path | None = Field(
        None, description="kubeconfig of the sidecar's own identity; default: in-cluster, then ~/.kube/config"
    )
    context: str = Field("", description="context of the kubeconfig; default: its current one")
    cluster: ClusterName = Field("", description="name of the cluster in plans; default: the context's name")
    environment: str = Field(
        "", description="what the cluster is to policy: dev, test, prod; default: by its name in the policy's data"
    )
    database_url: str = Field("", description="SQLAlchemy URL of the one database; default: sidecar.db in the state folder")
    audit_key_file: Path | None = Field(
        None, description="key of the journal's chain; default: audit.key in the state folder, made when missing"
    )
    audit_anchor_file: Path | None = Field(
        None, description="file, best on another disk or machine, that also keeps the journal's head before anything is answered"
    )
    audit_anchor_configmap: ObjectPlace = Field(
        "",
        description="namespace/name of a ConfigMap that keeps the journal's head within a second: lestrade/lestrade-audit",
    )
    policies: Path | None = Field(None, description="folder of the policy bundle; default: the one that comes with Lestrade")
    policy_overlay: Path | None = Field(None, description="folder laid over the bundle: your own data and guards")
    policy_key_file: Path | None = Field(
        None,
        description="public key (PEM) that the bundle and what is laid over it must be signed with (opa sign); default: unsigned",
    )
    opa_url: str = Field("", description="OPA server to ask; default: the embedded engine")
    opa_token_file: Path | None = Field(
        None, description="bearer token for the OPA server: needed wherever others than the sidecar can reach that"
    )
    alertmanager_url: str = Field(
        "", description="Alertmanager in which approved silences are made (API v2); default: no alert is silenced"
    )
    alertmanager_token_file: Path | None = Field(None, description="bearer token for Alertmanager, where it wants one")
    alertmanager_user: Annotated[str, StringConstraints(max_length=200)] = Field(
        "", description="user for Alertmanager, where it wants a log-in instead"
    )
    alertmanager_password_file: Path | None = Field(None, description="password of that user")
    alertmanager_ca_file: Path | None = Field(
        None, description="authority (PEM) of Alertmanager's certificate; default: those of the system"
    )
    lease_namespace: DnsLabel = Field("lestrade-leases", description="namespace that holds the leases' service accounts")
    plan_bound_admission: bool = Field(
        False, description="hold leases to their plans by the API server's own admission (deploy/admission must be installed)"
    )
    reap_seconds: Annotated[float, Field(gt=0, le=3600)] = Field(60.0, description="pause between two rounds of the reaper")
    page_url: str = Field("", description="address of the approvals page as people's browsers reach it; cards link to it")
    console_url: str = Field(
        "",
        description="address of the agent's pages as people's browsers reach them; each plan links to its incident there",
    )
    slack_bot_token_file: Path | None = Field(None, description="approvals in Slack: the app's bot token (xoxb-)")
    slack_signing_secret_file: Path | None = Field(
        None, description="approvals in Slack over HTTP: the app's signing secret; requests come to /slack/interactions"
    )
    slack_app_token_file: Path | None = Field(None, description="approvals in Slack by Socket Mode: the app-level token (xapp-)")
    slack_channel: Annotated[str, StringConstraints(max_length=2000)] = Field(
        "", description="id of the approvers' channel; more by environment: C0123, prod=C0456, prod/payments=C0789"
    )
    slack_team: Annotated[str, StringConstraints(pattern=r"^$|^[TE][A-Z0-9]{2,20}$")] = Field(
        "", description="id of the Slack workspace; requests of another one are refused"
    )
    slack_app_id: Annotated[str, StringConstraints(pattern=r"^$|^A[A-Z0-9]{2,20}$")] = Field(
        "", description="id of the Slack app; requests of another one are refused"
    )
    slack_cards_a_minute: Annotated[int, Field(ge=1, le=1000)] = Field(
        5, description="cards of their own within a minute; further plans are listed in one message"
    )
    slack_api_url: str = Field("https://slack.com/api/", description="Slack's Web API; another one for GovSlack and for tests")
    read_requests_per_run: Annotated[int, Field(ge=1)] = Field(
        20_000, description="requests that one run of the agent may make through the read gateway within an hour"
    )
    read_megabytes_per_run: Annotated[int, Field(ge=1)] = Field(
        4096, description="megabytes that one run of the agent may read through the gateway within an hour"
    )
    otlp_endpoint: str = Field(
        "", description="collector that traces go to (OTLP over HTTP); default: what OTEL_EXPORTER_OTLP_ENDPOINT says, or none"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least severe line that is logged")

    @field_validator("oidc_roles", mode="before")
    @classmethod
    def _roles_from_json(cls, value: Any) -> Any:
        try:
            return json.loads(value) if isinstance(value, str) else value
        except ValueError:
            raise ValueError('expected JSON, such as {"sre-team": ["sre"]}') from None

    @field_validator("console_url")
    @classmethod
    def _is_a_host_s_address(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[^/?#@\s]+/?", value):
            raise ValueError("https://host is wanted, without a path")
        return value.rstrip("/")

    @property
    def url_of_database(self) -> str:
        return self.database_url or f"sqlite:///{(self.state / 'sidecar.db').absolute()}"

    @property
    def people_path(self) -> Path:
        return self.people_file or self.state / "people.toml"

    @property
    def agent_socket(self) -> Path | None:
        """None when the agent's side listens on TCP."""
        return None if self.listen else self.socket or self.state / "agent.sock"


VARIABLES = {name: "LESTRADE_OPA_URL" if name == "opa_url" else PREFIX + name.upper() for name in Settings.model_fields}


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One row of `lestrade-sidecar config`."""

    name: str
    variable: str
    value: str
    source: str
    doc: str


def load(config: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Raises SettingsError. `config` falls back to LESTRADE_SIDECAR_CONFIG."""
    environment = os.environ if environ is None else environ
    path = _config_path(config, environment)
    values: dict[str, Any] = _read(path) if path else {}
    given = {name: environment[variable] for name, variable in VARIABLES.items() if variable in environment}
    for name, text in given.items():
        values[name] = None if text == "" and Settings.model_fields[name].default is None else text
    try:
        settings = _Given.model_validate(values)
    except ValidationError as exc:
        fault = exc.errors(include_url=False, include_input=False)[0]
        name = str(fault["loc"][0]) if fault["loc"] else "?"
        where = VARIABLES[name] if name in given else f"{name} in {path}"
        said = f"{name} is no setting" if fault["type"] == "extra_forbidden" else fault["msg"].removeprefix("Value error, ")
        raise SettingsError(f"setting {where}: {said} (see `lestrade-sidecar config`)") from None
    if (settings.tls_cert_file is None) != (settings.tls_key_file is None):
        raise SettingsError(f"settings {VARIABLES['tls_cert_file']} and {VARIABLES['tls_key_file']} belong together")
    if (settings.people_tls_cert_file is None) != (settings.people_tls_key_file is None):
        raise SettingsError(
            f"settings {VARIABLES['people_tls_cert_file']} and {VARIABLES['people_tls_key_file']} belong together"
        )
    if bool(settings.alertmanager_user) != (settings.alertmanager_password_file is not None):
        raise SettingsError(
            f"settings {VARIABLES['alertmanager_user']} and {VARIABLES['alertmanager_password_file']} belong together"
        )
    if settings.alertmanager_user and settings.alertmanager_token_file is not None:
        raise SettingsError(
            f"settings {VARIABLES['alertmanager_user']} and {VARIABLES['alertmanager_token_file']}: one or the other"
        )
    for name in ("listen", "people_listen"):
        try:
            if address := getattr(settings, name):
                host_and_port(address)
        except SettingsError as exc:
            raise SettingsError(f"setting {VARIABLES[name]}: {exc}, such as 127.0.0.1:8182") from None
    if settings.listen and host_and_port(settings.listen)[0] not in ("127.0.0.1", "::1", "localhost"):
        raise SettingsError(f"setting {VARIABLES['listen']}: the agent's listener is for loopback only")
    return settings


class _Given(Settings):
    """Values as given: the environment was looked at already, by name."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def describe(settings: Settings, config: Path | None = None, environ: Mapping[str, str] | None = None) -> list[Described]:
    environment = os.environ if environ is None else environ
    path = _config_path(config, environment)
    in_file = _read(path) if path else {}
    return [
        Described(
            name=name,
            variable=VARIABLES[name],
            # A URL is shown without its password.
            value="" if (value := getattr(settings, name)) is None else _without_password(str(value)),
            source="environment" if VARIABLES[name] in environment else str(path) if name in in_file else "default",
            doc=field.description or "",
        )
        for name, field in Settings.model_fields.items()
    ]


def _without_password(text: str) -> str:
    return _PASSWORD.sub(lambda found: f"{found['before'] or found['name']}***", text)


def host_and_port(address: str) -> tuple[str, int]:
    """ "127.0.0.1:0" lets the system choose the port. Raises SettingsError."""
    host, separator, port = address.rpartition(":")
    if not separator or not host or not port.isdigit() or int(port) > 65_535:
        raise SettingsError(f"{address} is no host:port")
    return host.strip("[]"), int(port)


def _config_path(config: Path | None, environment: Mapping[str, str]) -> Path | None:
    named = environment.get(PREFIX + "CONFIG")
    return config or (Path(named) if named else None)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise SettingsError(f"settings file {path}: {exc.strerror or exc}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise SettingsError(f"settings file {path}: not TOML: {exc}") from None

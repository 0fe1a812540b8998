"""Opens the way to Alertmanager as the settings say it. Knows no plan."""

from sidecar.execution.alertmanager import Alertmanager, Login
from sidecar.ports import NoAlertmanager, Silencer
from sidecar.settings import Settings, secret_from


def open_silencer(settings: Settings) -> Silencer:
    """Nothing is sent yet. Raises SettingsError."""
    if not settings.alertmanager_url:
        return NoAlertmanager()
    token, password = settings.alertmanager_token_file, settings.alertmanager_password_file
    login = Login(
        token=secret_from(token, token, what="the token for Alertmanager", least=1) if token is not None else "",
        user=settings.alertmanager_user,
        password=secret_from(password, password, what="the password for Alertmanager", least=1) if password is not None else "",
    )
    return Alertmanager(settings.alertmanager_url, login=login, authority=settings.alertmanager_ca_file)

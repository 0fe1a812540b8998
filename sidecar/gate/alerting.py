"""Opens the way to Alertmanager as the settings say it. Knows no plan."""

from sidecar.execution.alertmanager import Alertmanager, Login
from sidecar.ports import NoAlertmanager, Silencer
from sidecar.secret_files import SecretFile
from sidecar.settings import Settings


def open_silencer(settings: Settings) -> Silencer:
    """Nothing is sent yet. Raises SettingsError."""
    if not settings.alertmanager_url:
        return NoAlertmanager()
    token, password = settings.alertmanager_token_file, settings.alertmanager_password_file
    login = Login(
        token=SecretFile(token, what="the token for Alertmanager", least=1, plain=True) if token is not None else None,
        user=settings.alertmanager_user,
        password=SecretFile(password, what="the password for Alertmanager", least=1) if password is not None else None,
    )
    return Alertmanager(settings.alertmanager_url, login=login, authority=settings.alertmanager_ca_file)

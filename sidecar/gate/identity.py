"""Everybody who is known, as the settings say: the people file, and the identity provider where one is named. Knows no HTTP."""

from datetime import timedelta

from identity import Provider, Verifier, is_safe
from sidecar.approvals import Directory, Outside, PeopleFile
from sidecar.errors import SettingsError
from sidecar.gate.ledger import Ledger
from sidecar.gate.memberships import KeptMemberships
from sidecar.settings import VARIABLES, Settings


def open_people(settings: Settings) -> tuple[PeopleFile, int]:
    """The file, and how many it knows. Raises SettingsError."""
    people = PeopleFile(settings.people_path)
    known = people.check()
    if settings.people_file is not None and not settings.people_file.exists():
        raise SettingsError(
            f"the people file {settings.people_file} does not exist: lestrade-sidecar people add NAME --role ROLE"
        )
    if settings.oidc_issuer:
        if not is_safe(settings.oidc_issuer):
            raise SettingsError(f"setting {VARIABLES['oidc_issuer']}: an https URL is wanted (http on loopback only)")
        if not (settings.oidc_audience or settings.oidc_client_id):
            raise SettingsError(
                f"setting {VARIABLES['oidc_issuer']} needs {VARIABLES['oidc_client_id']} or an audience beside it"
            )
    return people, known


def directory_of(settings: Settings, file: PeopleFile, ledger: Ledger) -> Directory:
    """Nothing is fetched yet: an identity provider that is down keeps nobody else out."""
    if not settings.oidc_issuer:
        return Directory(file)
    verifier = Verifier(
        provider=Provider(settings.oidc_issuer),
        audience=settings.oidc_audience or settings.oidc_client_id,
        groups_claim=settings.oidc_groups_claim,
        name_claim=settings.oidc_name_claim,
    )
    outside = Outside(
        verifier=verifier,
        roles={group: frozenset(roles) for group, roles in settings.oidc_roles.items()},
        memberships=KeptMemberships(ledger),
        longest=timedelta(seconds=settings.oidc_membership_seconds),
    )
    return Directory(file, outside)

"""Whether an object that is there says what a piece of a lease has to say: a name and labels can be anybody's. Pure."""

from sidecar.contract import Json
from sidecar.credentials.manifests import Piece

_SAYS = ("rules", "roleRef", "subjects")  # what gives rights: no more of it, and no less
_GIVES_MORE = ("aggregationRule",)  # of a ClusterRole, whose rules are then somebody else's
_GOES_BY_ITSELF = ("ownerReferences", "finalizers")  # who made it so decides when it goes


def unlike(found: Json, piece: Piece) -> str:
    """Which parts are not as the piece has them; "" where it is the very piece. More labels and annotations are no harm."""
    if not isinstance(found, dict):
        return "nothing can be read of it"
    metadata, labels = _mapping(found, "metadata"), _mapping(_mapping(found, "metadata"), "labels")
    wanted = _mapping(_mapping(piece.manifest, "metadata"), "labels")
    parts = [part for part in _SAYS if found.get(part) != piece.manifest.get(part)]
    parts += [part for part in _GIVES_MORE if found.get(part)]
    parts += [part for part in _GOES_BY_ITSELF if metadata.get(part)]
    parts += [f"label {name}" for name, value in wanted.items() if labels.get(name) != value]
    return ", ".join(parts)


def _mapping(document: Json, key: str) -> dict[str, Json]:
    found = document.get(key) if isinstance(document, dict) else None
    return found if isinstance(found, dict) else {}

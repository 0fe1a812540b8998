"""The one thing that can go wrong here. Whoever is not known is None, never an error."""


class IdentityUnavailable(Exception):
    """The identity provider gives no answer, or none that can be used: nobody can be known just now. One line; no secret."""

"""Who sits at this terminal."""

import getpass


def person() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return ""

"""Keys, which come from the environment alone."""

import os
import re

from fgvr.errors import FgvrError


def check_variable(name: str) -> None:
    """Check that ``name`` can be that of an environment variable, and not the key itself.

    Raises:
        FgvrError: It cannot; it is not repeated.
    """
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name):
        raise FgvrError(
            "data.labeler.api_key_env is not the name of an environment variable in capital letters, such as "
            "MY_SERVER_KEY. It does not take the key itself: put that into the variable."
        )


def read_key(*variables: str) -> str:
    """The key in the first of the environment variables that is set; ``""`` where none is.

    Raises:
        FgvrError: It cannot be sent.
    """
    for name in variables:
        key = os.environ.get(name, "").strip()
        if not key:
            continue
        if not (key.isascii() and key.isprintable()):
            raise FgvrError(
                f"The key in the environment variable {name} holds a character that no key has, such as a curly quote "
                "or a line break: copy it again."
            )
        return key
    return ""

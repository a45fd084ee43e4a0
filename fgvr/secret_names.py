"""Options whose names say that they hold a secret: one rule for all that is written, shown and refused."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRETS = {
    *("apikey", "authorization", "cookie", "credential", "credentials", "passcode", "passphrase", "passwd", "password"),
    *("passwords", "pwd", "secret", "secrets"),
}
_KINDS_OF_KEYS = {
    "access",
    "account",
    "api",
    "auth",
    "encryption",
    "private",
    "secret",
    "service",
    "ssh",
    "subscription",
}
_KINDS_OF_TOKENS = {
    *(
        "access",
        "api",
        "auth",
        "bearer",
        "bot",
        "client",
        "github",
        "gitlab",
        "hf",
        "hub",
        "huggingface",
        "id",
        "login",
    ),
    *("oauth", "refresh", "secret", "security", "session", "user"),
}


def is_secret_name(name: str) -> bool:
    """Whether an option of this name holds a secret, by the last words of the name.

    These do: ``password`` and what means the same, ``secret``, ``token`` alone and after words such as ``api`` or
    ``auth``, ``key`` after such words. ``key``, ``max_tokens``, ``pad_token``, ``tokenizer``, ``api_key_env`` do not.

    Args:
        name: The option; of a dotted key, the last part counts.

    Example:
        >>> [is_secret_name(name) for name in ("api_key", "clientSecret", "X-Auth-Token", "key", "api_key_env")]
        [True, True, True, False, False]
    """
    words = [word.lower() for word in _WORDS.findall(name.rpartition(".")[2])]
    if not words:
        return False
    before, last = words[-2] if len(words) > 1 else "", words[-1]
    if last in ("key", "keys"):
        return before in _KINDS_OF_KEYS
    if last == "token":
        return not before or before in _KINDS_OF_TOKENS
    return last in _SECRETS


def secrets_in(value: Any, key: str = "") -> Iterator[str]:
    """Keys of a configuration that hold a secret: a text, or a number, below a name of one.

    Args:
        value: Plain values.
        key: Where they stand.
    """
    yield from _secrets_in(value, key, is_secret_name(key))


def _secrets_in(value: Any, key: str, secret: bool) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            below = key if name in ("init_args", "dict_kwargs") else f"{key}.{name}" if key else str(name)
            yield from _secrets_in(inner, below, secret or is_secret_name(str(name)))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _secrets_in(inner, key, secret)
    elif secret and value not in (None, "") and not isinstance(value, bool):
        yield key

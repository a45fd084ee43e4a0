"""Which servers and models honour a JSON schema, as far as it is known."""

import re

# ends of host names
_HONOUR = (
    "api.openai.com", "openai.azure.com", "generativelanguage.googleapis.com", "api.mistral.ai", "api.x.ai",
    "api.fireworks.ai",
)  # fmt: skip
_PASS_OVER = ("api.anthropic.com", "api.deepseek.com")
# before schemas came
_OLD = re.compile(
    r"gpt-3|gpt-4(?:$|-)|gpt-4o-2024-05-13|chatgpt-4o|o1-(?:mini|preview)|gemini-(?:pro|1|2\.0)|gemma|learnlm"
)


def honours_schemas(host: str, model: str) -> bool | None:
    """Whether a server replies as a schema says, which goes beside the question.

    Args:
        host: Its host name.
        model: Model id.

    Returns:
        ``None`` where that is not known: the first reply shows it, because servers refuse what they do not know.

    Example:
        >>> honours_schemas("api.openai.com", "gpt-4o-2024-11-20"), honours_schemas("api.openai.com", "gpt-4-turbo")
        (True, False)
        >>> honours_schemas("localhost", "llava") is None
        True
    """
    if _is_below(host, _PASS_OVER) or _OLD.match(model.rpartition("/")[2].removeprefix("ft:")):
        return False
    return True if _is_below(host, _HONOUR) else None


def _is_below(host: str, domains: tuple[str, ...]) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)

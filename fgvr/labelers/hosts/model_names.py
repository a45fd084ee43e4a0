"""Names of models, as servers repeat them."""

import re

# "-2024-11-20", "-002", "-preview-09-2025", ":7b", "@20241022", "@<commit>"
_VERSION = r"(?:-(?:preview-)?v?\d[\d-]*|[:@][\w.-]+|-latest)?"


def is_same_model(asked: str, answered: str) -> bool:
    """Whether the model that answered is the one that was asked, or a version of it.

    Args:
        asked: Model id; ``""`` where it is not known.
        answered: What the server says; ``""`` where it says nothing.

    Example:
        >>> is_same_model("gpt-4o", "gpt-4o-2024-11-20"), is_same_model("gpt-4o", "gpt-4o-mini")
        (True, False)
    """
    # behind "gemini-flash-latest" is what the provider likes best
    if not asked or not answered or asked.endswith("-latest"):
        return True
    # servers leave out the owner of a model, or put a folder before its name
    name = asked.rstrip("/").rpartition("/")[2].removesuffix(":latest")
    return re.fullmatch(rf"(?:.*/)?{re.escape(name)}{_VERSION}/?", answered) is not None

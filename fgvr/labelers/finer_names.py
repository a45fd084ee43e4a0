"""The names that FineR has published for its discovery sets, as a list of class names."""

from pathlib import Path

from fgvr.errors import FgvrError
from fgvr.labelers.tasks.guess_names import GuessNamesTask
from fgvr.tables import decode_text
from fgvr.text import visible
from fgvr.vocabulary.build import fold_name
from fgvr.yaml_text import load_json

_EXPECTED = "FineR's file of guessed names (a list), or of the replies that name them (an object of texts)"


def read_finer_names(path: Path, guesses: int = 3) -> tuple[list[str], int]:
    """The names of a file below FineR's ``experiments/*/guess``.

    Args:
        path: ``*_llm_gussed_names_*.json``, ``*_llm_replies_raw_*.json`` or ``*_llm_replies_jsoned_*.json``.
        guesses: How many names of a reply count.

    Returns:
        The names in the order of the file, each spelling of a name once, case, spaces and hyphens aside; and how many
        replies name nothing.

    Raises:
        FgvrError: There is no such file, it is no JSON, has another form, or has no name.
    """
    if not path.is_file():
        raise FgvrError(f"There is no file {str(path)!r}: give {_EXPECTED}.")
    try:
        content = load_json(decode_text(path.read_bytes(), path))
    except (ValueError, RecursionError) as error:
        raise FgvrError(f"{path} is not JSON ({visible(str(error), 100)}); expected {_EXPECTED}.") from None
    texts = list(content.values()) if isinstance(content, dict) else content
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise FgvrError(f"{path} holds something else than texts; expected {_EXPECTED}.")
    unread = 0
    names: dict[str, str] = {}
    task = GuessNamesTask(guesses=guesses)
    for text in texts:
        found = task.read(text).names if isinstance(content, dict) else (" ".join(text.split()),)
        unread += not found
        for name in found:
            if key := fold_name(name):
                names.setdefault(key, name)
    if not names:
        raise FgvrError(f"{path} has no name; expected {_EXPECTED}.")
    return list(names.values()), unread

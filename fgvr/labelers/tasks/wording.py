"""What prompts of several tasks say alike."""

from fgvr.errors import FgvrError

PAPER_PROMPT = "Provide a best fine-grained class label for this image"
"""The FGVR paper's prompt, word for word (section 3)."""
_MAX_CHARACTERS = 100


def phrase(text: str, key: str) -> str:
    """``text`` with single spaces, fit to stand in a prompt.

    Args:
        text: A word or a few, such as ``"bird"`` or ``"make, model and year"``.
        key: The option that holds it, for the error: of the task where it has no dot.

    Raises:
        FgvrError: It is blank, or too long to be a phrase.
    """
    words = " ".join(text.split())
    if not words or len(words) > _MAX_CHARACTERS or not words.isprintable():
        option = key if "." in key else f"data.labeler.task.{key}"
        raise FgvrError(f"{option} is {text[:60]!r}; expected a word or a few, {_MAX_CHARACTERS} characters at most.")
    return words


def expert_question(category: str | None, unit: str | None) -> str:
    """The question for a class that names the super-category, as one would ask an expert.

    FiNDR (arXiv 2512.18897) names it too, in other words, and gains 5 points of cACC and 9 of sACC by it on Pets.

    Args:
        category: What all photos show: ``"bird"``.
        unit: What tells the classes apart: ``"species"``; ``"kind"`` if not given.

    Raises:
        FgvrError: There is no ``category``.
    """
    if category is None:
        raise FgvrError(
            "data.labeler.task.style is 'expert', whose prompt names the super-category: set "
            "data.labeler.task.category to it, such as bird. To have the model find it on a few photos, give the "
            "same options to the command `fgvr discover`."
        )
    what, unit = phrase(category, "category"), phrase(unit or "kind", "unit")
    asked = f"What is the exact {unit} of the {what} in this photo?"
    return f"You are a specialist who can tell the {unit} of any {what}. {asked}"

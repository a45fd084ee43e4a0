"""Text from outside: model replies, names, file contents."""


def encodable(text: str) -> str:
    """The text with U+FFFD for half surrogate pairs, which models send in JSON and UTF-8 cannot hold.

    The two halves of a pair that were escaped one by one are joined.

    Example:
        >>> encodable(chr(0xD83D)) == chr(0xFFFD)
        True
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

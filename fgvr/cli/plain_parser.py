"""The argument parser of commands that take no configuration."""

from typing import NoReturn

from jsonargparse import ArgumentParser

from fgvr.text import visible


class PlainParser(ArgumentParser):
    """jsonargparse's, whose messages repeat what was given in a form that no terminal obeys."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """See the base class."""
        super().error(visible(message, lines=True), ex)

"""Lines of a log as a terminal may be shown them."""

import logging

from fgvr.text import visible


class VisibleFormatter(logging.Formatter):
    """Shows what a terminal would obey: file names and replies in a message are untrusted."""

    def format(self, record: logging.LogRecord) -> str:
        """See the base class."""
        return visible(super().format(record), lines=True)

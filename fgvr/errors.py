"""The exceptions that are shown to the user without a traceback."""


class FgvrError(Exception):
    """A problem that the user can fix.

    The message names the file, the key or the row, what was expected, and the command or the edit that fixes it.
    The command line prints it and exits with code 2; everything else that is raised is a defect of the program and
    keeps its traceback.
    """


class TextTooLongError(FgvrError):
    """A text exceeds the text encoder's context.

    Args:
        text: The whole text.
        message: What the user is told.
    """

    def __init__(self, text: str, message: str) -> None:
        super().__init__(message)
        self.text = text

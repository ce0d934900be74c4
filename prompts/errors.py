"""The one error of this package."""


class PromptError(ValueError):
    """A prompt template cannot be found, read or filled.

    The message names the template, the cause and the remedy in one line.
    """

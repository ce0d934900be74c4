"""Reading a template's or a rubric's file, with its problems in one line each."""

import tomllib
from pathlib import Path
from typing import Any

from prompts.errors import PromptError


def file_content(path: str, kind: str) -> bytes:
    """Return the bytes of a file; PromptError where it cannot be read, naming it as `kind`."""
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or error
        raise PromptError(
            f"{kind} {path}: cannot be read ({cause}); check the path and its permissions"
        ) from error


def toml_table(content: bytes, where: str) -> dict[str, Any]:
    """Return the table that a TOML file's bytes hold; PromptError where they hold none."""
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise PromptError(
            f"{where}: byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise PromptError(
            f"{where}: not valid TOML ({error}); put long texts between ''' and '''"
        ) from error

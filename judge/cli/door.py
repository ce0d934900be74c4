"""The one place where errors become words and exit codes."""

import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cyclopts import App, CycloptsError

from judge.cli.visible import visible
from judge.errors import EvenhandError

USAGE = 2
UNFORESEEN = 70
INTERRUPTED = 130
BROKEN_PIPE = 141
"""As the shell reports a program that a closed pipe ended."""

DEBUG_FLAG = "--debug"


def exit_code_of(app: App, tokens: Sequence[str]) -> int:
    """Run one command line and return its exit code, having said every error in a line."""
    is_debug = DEBUG_FLAG in tokens
    try:
        code = app(
            [token for token in tokens if token != DEBUG_FLAG],
            exit_on_error=False,
            print_error=False,
        )
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except CycloptsError as error:
        return _say(_usage_of(error), USAGE)
    except KeyboardInterrupt:
        return _say("interrupted", INTERRUPTED)
    except BrokenPipeError:
        _forget_stdout()
        return BROKEN_PIPE
    except Exception as error:  # a door: whatever comes through becomes one line
        if is_debug:
            print(visible("".join(traceback.format_exception(error))), file=sys.stderr)
        return _told(error)


def _told(error: Exception) -> int:
    causes = list(_leaves(error))
    foreseen = [cause for cause in causes if isinstance(cause, EvenhandError)]
    if len(foreseen) < len(causes):
        odd = next(cause for cause in causes if not isinstance(cause, EvenhandError))
        what = f"{type(odd).__name__}: {odd}".splitlines()[0]
        return _say(f"{what}; this should not happen: see where with --debug", UNFORESEEN)
    text = "\n".join(dict.fromkeys(str(cause) for cause in foreseen))
    return _say(text, foreseen[0].exit_code)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield what went wrong in tasks that ran side by side."""
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error


def _usage_of(error: CycloptsError) -> str:
    command = " ".join(["judge", *(error.command_chain or ())])
    cause = error.__cause__
    if cause is not None and hasattr(cause, "errors"):  # pydantic's, whose text spans lines
        problems = "\n".join(_flag_problem(problem) for problem in cause.errors())
    else:
        problems = str(error).strip()
    return f"{problems}\nsee {command} --help"


def _flag_problem(problem: Mapping[str, Any]) -> str:
    flag = "--" + "-".join(str(part) for part in problem["loc"]).replace("_", "-")
    where = f"{flag} {problem['input']}: " if problem["loc"] else ""
    return where + str(problem["msg"]).removeprefix("Value error, ")


def _say(text: str, code: int) -> int:
    print(visible(f"error: {text}"), file=sys.stderr)
    return code


def _forget_stdout() -> None:
    """Point standard output nowhere, or the interpreter would complain while it shuts down."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

"""`judge init`: a new project folder."""

import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from judge.api.start import init
from judge.cli.talk import talk_on_stderr

Folder = Annotated[Path, Parameter(name="DIR")]


def command(folder: Folder = Path(), /) -> int:
    """Write a project folder that runs at once: settings, a prompt, example pairs and votes.

    Nothing is ever overwritten.

    Parameters
    ----------
    folder
        Where the files go; it is made where it does not exist.
    """
    for path in init(folder):
        print(path)
    talk = talk_on_stderr()
    talk.say("votes are simulated, and so is the judge that judge.toml names")
    enter = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    talk.say(
        "next: judge simulate --port 8100 in one terminal, and in another\n"
        f"  {enter}judge check\n"
        "  judge run data/pairs.jsonl"
    )
    return 0

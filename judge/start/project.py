"""A new project folder that runs at once: settings, a prompt to edit, pairs and votes."""

from collections.abc import Iterator
from importlib.resources import files
from itertools import islice
from pathlib import Path

from pydantic_core import to_json

from judge.errors import ConfigError
from judge.formats.pairs import pair_row
from judge.formats.votes import vote_row
from judge.records import Pair
from judge.simulator.quality import human_votes
from judge.start.demonstration import example_pairs

EVERY = 6
"""Of the example pairs one in so many is taken: ten pairs of ten prompts."""
ANNOTATORS = 3
SEED = 0
"""Of the votes' hidden truth; the simulated judge has the same one unless it is told another."""

_PROMPT = "pair-tie"
_PROMPT_COPY = "my-pair"


def make_project(folder: Path) -> tuple[Path, ...]:
    """Write a project into `folder` and return its files.

    Raises ConfigError, having written nothing, where one of the files is there already.
    """
    contents = project_files()
    present = [
        name for name in contents if (folder / name).is_symlink() or (folder / name).exists()
    ]
    if present:
        raise ConfigError(
            f"{folder}: {', '.join(present)} would be overwritten; nothing was written; "
            "choose another folder, or move what is there"
        )
    written: list[Path] = []
    try:
        for name, content in contents.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                written.append(path)
                file.write(content)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise ConfigError(
            f"{error.filename or folder}: cannot be written ({error.strerror}); "
            "choose a folder that may be written"
        ) from error
    return tuple(written)


def project_files() -> dict[str, bytes]:
    """Return the content of every file of a new project, by its path in the folder."""
    templates = files("judge.examples") / "project"
    prompt = (files("prompts") / "templates" / f"{_PROMPT}.toml").read_bytes()
    pairs = list(islice(example_pairs(), 0, None, EVERY))
    return {
        "README.md": (templates / "README.md").read_bytes(),
        "judge.toml": (templates / "judge.toml").read_bytes(),
        ".env.example": (templates / "env.example").read_bytes(),
        f"prompts/{_PROMPT_COPY}.toml": _renamed(prompt),
        "data/pairs.jsonl": _lines(to_json(pair_row(pair)) for pair in pairs),
        "data/votes.jsonl": _lines(_votes(pairs)),
    }


def _renamed(prompt: bytes) -> bytes:
    return prompt.replace(f'name = "{_PROMPT}"'.encode(), f'name = "{_PROMPT_COPY}"'.encode(), 1)


def _votes(pairs: list[Pair]) -> Iterator[bytes]:
    for vote in human_votes(pairs, seed=SEED, annotators=ANNOTATORS):
        yield to_json(vote_row(vote))


def _lines(rows: Iterator[bytes]) -> bytes:
    return b"".join(row + b"\n" for row in rows)

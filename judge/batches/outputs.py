"""Which files hold what came of a batch."""

from collections.abc import Sequence
from pathlib import Path

from judge.batches.lines import REQUEST, parse_line
from judge.batches.manifest import find_manifest
from judge.errors import InputError
from judge.formats.lines import BadLine, read_lines


def output_files(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return the files to read: those named, and of folders the JSON Lines that are no requests.

    Raises InputError for a folder without any and for a path that does not exist.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: no such file; check the path")
        if not path.is_dir():
            found.setdefault(path.resolve(), path)
            continue
        manifest = find_manifest(path)
        requests = {file.name for file in manifest.files} if manifest else set()
        outputs = [
            each
            for each in sorted(path.glob("*.jsonl"))
            if each.name not in requests and each.stat().st_size and not _holds_requests(each)
        ]
        if not outputs:
            raise InputError(
                f"{path}: holds no output files yet; put the output and error files of the batch "
                "there, or fetch them with judge batch fetch"
            )
        for each in outputs:
            found.setdefault(each.resolve(), each)
    return tuple(found.values())


def _holds_requests(path: Path) -> bool:
    first = next(iter(read_lines(path, parse_line)), None)
    return isinstance(first, BadLine) and first.problem == REQUEST

"""What lies in the folder of an exported batch, and which of it was submitted where."""

from pathlib import Path
from typing import Final, Literal, TypeVar

from pydantic import Field, ValidationError

from judge.atomic import atomic_writer
from judge.errors import InputError
from judge.records import Record

MANIFEST = "manifest.json"
SUBMISSIONS = "submissions.json"
URL: Final = "/v1/chat/completions"

R = TypeVar("R", bound=Record)


class RequestFile(Record):
    """One file of requests: one model at one endpoint."""

    name: str
    endpoint: str
    """As the config calls it."""
    model: str
    requests: int
    bytes: int
    sha256: str
    judges: dict[str, int]
    """Requests by the judge that asks."""


class Manifest(Record):
    """What one export wrote. It is written last: a folder with a manifest is whole."""

    format: Literal["batch/1"] = "batch/1"
    export_id: str
    run_id: str
    created_at: str
    files: tuple[RequestFile, ...]

    @property
    def requests(self) -> int:
        return sum(file.requests for file in self.files)


class Submission(Record):
    """How far one file of requests has come at its provider."""

    sha256: str
    base_url: str
    file_id: str | None = None
    """Of the upload; None while it is not known to have arrived."""
    batch_id: str | None = None
    """None while the batch is not known to have been created."""
    status: str | None = None
    """As the provider said last."""
    fetched: dict[str, str] = Field(default_factory=dict)
    """Id of a file that was fetched -> its name here."""


class Submissions(Record):
    """What is known of every file of a folder that was submitted."""

    format: Literal["batch-submissions/1"] = "batch-submissions/1"
    files: dict[str, Submission] = Field(default_factory=dict)

    def with_file(self, name: str, submission: Submission) -> "Submissions":
        """Return the same with one file's submission replaced."""
        return self.model_copy(update={"files": {**self.files, name: submission}})


def read_manifest(folder: Path) -> Manifest:
    """Return what an export wrote to a folder; raises InputError where that is no whole export."""
    manifest = _read(folder / MANIFEST, Manifest)
    if manifest is None:
        raise InputError(
            f"{folder}: holds no {MANIFEST}, so it is no exported batch; name the folder that "
            "judge batch export wrote"
        )
    return manifest


def find_manifest(folder: Path) -> Manifest | None:
    """Return what an export wrote to a folder; None where it is another kind of folder."""
    return _read(folder / MANIFEST, Manifest)


def read_submissions(folder: Path) -> Submissions:
    """Return what is known to have been submitted of a folder."""
    return _read(folder / SUBMISSIONS, Submissions) or Submissions()


def write_record(path: Path, record: Record) -> None:
    """Put a record in place of a file, durably and whole."""
    with atomic_writer(path) as file:
        file.write(record.model_dump_json(indent=2).encode() + b"\n")


def _read(path: Path, record: type[R]) -> R | None:
    try:
        return record.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except NotADirectoryError as error:
        raise InputError(f"{path.parent}: is a file; name the folder of the batch") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        what = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in what["loc"]) or "the whole"
        raise InputError(
            f"{path}: {where}: {what['msg']}; restore the file, or export the batch again"
        ) from error

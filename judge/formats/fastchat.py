"""FastChat's MT-Bench folders: questions, models' answers, judges' replies and human votes.

    question.jsonl                      the questions, each of one or more turns
    model_answer/MODEL.jsonl            a model's answers; the file's name is the model's
    reference_answer/JUDGE.jsonl        reference answers
    model_judgment/JUDGE_pair.jsonl     a judge's replies in both orders

and files of human votes. Files are told apart by the fields of their first row, not by name; only
the folder reference_answer tells references from answers. Questions and answers are held in
memory, at most 1 GiB of files; judgments and votes stream.

As in FastChat, an answer is the first of its choices, and the last row of those for one question.
"""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field

from judge.errors import InputError
from judge.formats.fastchat_bundle import FastChatBundle, Question, Turns
from judge.formats.fastchat_facts import ForeignRow, QuestionId, checked
from judge.formats.lines import BadLine, Line, read_lines
from judge.formats.problems import field_name, problem, shown
from judge.formats.rows import row_from
from judge.formats.tables import MAX_DOCUMENT_BYTES

FOLDERS = ("model_answer", "reference_answer", "model_judgment")
"""The folders of a FastChat folder that are looked into."""


class _Kind(StrEnum):
    QUESTION = "question"
    ANSWER = "answer"
    REFERENCE = "reference"
    JUDGMENT = "judgment"
    VOTE = "vote"


_FIELDS = {
    _Kind.ANSWER: {"question_id", "choices"},
    _Kind.QUESTION: {"question_id", "turns"},
    _Kind.JUDGMENT: {"question_id", "model_1", "model_2"},
    _Kind.VOTE: {"question_id", "model_a", "model_b", "winner"},
}
"""What the first row of each kind of file holds; references look like answers."""
_HELD = (_Kind.QUESTION, _Kind.ANSWER, _Kind.REFERENCE)

_Texts = Annotated[list[str], Field(min_length=1)]


class _QuestionRow(ForeignRow):
    question_id: QuestionId
    turns: _Texts
    category: str | None = None
    reference: list[str | None] | None = None


class _Choice(ForeignRow):
    turns: _Texts


class _AnswerRow(ForeignRow):
    question_id: QuestionId
    choices: Annotated[list[_Choice], Field(min_length=1)]


def read_fastchat(*paths: str | Path) -> FastChatBundle:
    """Return what folders and files hold together; pairs, votes and judgments are still unread.

    Raises InputError for a path that cannot be used, a file named outright that is of no known
    kind, reference answers of several judges, files too large to hold, and when there is
    nothing to pair: neither judgments, nor votes, nor the answers of two models.
    """
    files: dict[_Kind, list[Path]] = {kind: [] for kind in _Kind}
    left_out: list[str] = []
    for path, is_named in _listed(paths):
        try:
            files[_kind_of(path)].append(path)
        except InputError as error:
            if is_named:
                raise
            left_out.append(str(error))
    _check_held(files)
    bad_lines: list[BadLine] = []
    bundle = FastChatBundle(
        questions=_questions(files[_Kind.QUESTION], bad_lines),
        answers={path.stem: _answers([path], bad_lines) for path in files[_Kind.ANSWER]},
        references=_answers(files[_Kind.REFERENCE], bad_lines),
        judgment_files=tuple(str(path) for path in files[_Kind.JUDGMENT]),
        vote_files=tuple(str(path) for path in files[_Kind.VOTE]),
        bad_lines=tuple(bad_lines),
        left_out=tuple(left_out),
    )
    has_facts = bundle.judgment_files or bundle.vote_files
    if not has_facts and (len(bundle.answers) < 2 or not bundle.questions):
        named = ", ".join(str(path) for path in paths)
        raise InputError(
            f"{named}: nothing to pair; give judgments, votes, or question.jsonl and the answers "
            "of two models"
        )
    return bundle


def _listed(paths: Iterable[str | Path]) -> Iterator[tuple[Path, bool]]:
    """Every file once, and whether it was named itself; folders in the order of their names."""
    seen: set[Path] = set()
    for given in map(Path, paths):
        is_named = not given.is_dir()
        for path in [given] if is_named else _inside(given):
            if path.resolve() not in seen:
                seen.add(path.resolve())
                yield path, is_named


def _inside(folder: Path) -> list[Path]:
    try:
        folders = [folder, *(folder / name for name in FOLDERS if (folder / name).is_dir())]
        found = [path for inner in folders for path in sorted(inner.glob("*.jsonl"))]
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror or error})") from error
    if not found:
        raise InputError(f"{folder}: holds no .jsonl file; name a folder with question.jsonl")
    return found


def _kind_of(path: Path) -> _Kind:
    """The kind of the first row; raises InputError when it is none that can be imported."""
    fields: set[str] = set()
    for line in read_lines(path, row_from):
        if isinstance(line, Line):
            fields = set(line.record)
            break
    kind = next((kind for kind, needed in _FIELDS.items() if needed <= fields), None)
    if kind is None:
        raise InputError(
            f"{path}: holds no FastChat rows that can be imported; known are those of "
            f"{', '.join(_Kind)} files"
        )
    is_reference = kind is _Kind.ANSWER and path.resolve().parent.name == "reference_answer"
    return _Kind.REFERENCE if is_reference else kind


def _check_held(files: Mapping[_Kind, list[Path]]) -> None:
    """Refuse files that cannot be held together."""
    if len(references := files[_Kind.REFERENCE]) > 1:
        names = ", ".join(path.name for path in references)
        raise InputError(
            f"{references[0].parent}: references of several judges ({names}), and a pair has one; "
            "name the files that are meant"
        )
    file_of: dict[str, Path] = {}
    for path in files[_Kind.ANSWER]:
        if (other := file_of.setdefault(path.stem, path)) != path:
            raise InputError(f'{path}: "{path.stem}" has its answers in {other} too; give one')
    held = [path for kind in _HELD for path in files[kind]]
    if sum(path.stat().st_size for path in held) > MAX_DOCUMENT_BYTES:
        raise InputError(
            f"{held[0]}: with the other questions and answers larger than "
            f"{MAX_DOCUMENT_BYTES // 1024**3} GiB, and they are held in memory; name the files of "
            "fewer models"
        )


def _questions(paths: Iterable[Path], bad_lines: list[BadLine]) -> dict[str, Question]:
    questions: dict[str, Question] = {}
    for path in paths:
        for line in read_lines(path, _parse_question):
            if isinstance(line, BadLine):
                bad_lines.append(line)
                continue
            question = _question(line.record, str(path), line.number)
            known = questions.setdefault(question.question_id, question)
            if known.turns != question.turns:
                cause = f"another question {shown(question.question_id)} than at "
                where = f"{known.source}:{known.number}"
                bad_lines.append(BadLine(str(path), line.number, f"{cause}{where}; rename one"))
    return questions


def _parse_question(line: bytes) -> _QuestionRow:
    row = checked(row_from(line), _QuestionRow)
    for at, turn in enumerate(row.turns):
        if not turn.strip():
            raise problem(field_name("turns", at), "empty", "give the question that was asked")
    return row


def _question(row: _QuestionRow, source: str, number: int) -> Question:
    return Question(
        question_id=row.question_id,
        turns=tuple(row.turns),
        category=row.category,
        reference=tuple(text or "" for text in row.reference or ()),
        source=source,
        number=number,
    )


def _answers(paths: Iterable[Path], bad_lines: list[BadLine]) -> dict[str, Turns]:
    answers: dict[str, Turns] = {}
    for path in paths:
        for line in read_lines(path, lambda line: checked(row_from(line), _AnswerRow)):
            if isinstance(line, BadLine):
                bad_lines.append(line)
            else:
                answers[line.record.question_id] = tuple(line.record.choices[0].turns)
    return answers

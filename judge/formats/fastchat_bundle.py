"""What FastChat files hold together: pairs that can be shown, and what was said about them.

A pair of turn N shows the question's first N turns, and its candidates answer every one of them.
Its reference is the reference answer, or where no file of those is given the question's own.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias, TypeVar

from judge.errors import InputError
from judge.formats.fastchat_facts import PairName, parse_judgments, parse_vote
from judge.formats.judgments import GivenJudgment
from judge.formats.lines import BadLine, Line, read_lines
from judge.formats.problems import shown
from judge.records import Candidate, Message, Order, Pair, Prompt, Vote

R = TypeVar("R")

FileLines: TypeAlias = tuple[str, Iterator[Line[R] | BadLine]]
"""A file and its records, to be used up before the next file is asked for."""

Samples: TypeAlias = dict[tuple[str, str, Order], dict[int, int]]
"""Sample numbers by a hash of the reply, for every judge, pair and order."""

Turns: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and the file and line that it stands on."""

    question_id: str
    turns: Turns
    category: str | None
    reference: Turns
    source: str
    number: int


@dataclass(frozen=True, slots=True)
class FastChatBundle:
    """Everything that the given folders and files hold."""

    questions: Mapping[str, Question]
    """By question id."""
    answers: Mapping[str, Mapping[str, Turns]]
    """By model and question id."""
    references: Mapping[str, Turns]
    """By question id."""
    judgment_files: tuple[str, ...]
    vote_files: tuple[str, ...]
    bad_lines: tuple[BadLine, ...]
    """Problems in questions and answers; those of other files come with their lines."""
    left_out: tuple[str, ...]
    """Files in the folders that hold nothing to import, each with the reason."""

    def pairs(self) -> Iterator[FileLines[Pair]]:
        """Every pair that a judgment or vote names, once, at the first line that names it.

        A pair without question or answers cannot be shown and is a bad line there. Lines without
        a valid judgment or vote are left to `judgments` and `votes` to report. Where neither
        judgments nor votes were given, every two models on every turn of every question.
        """
        seen: set[PairName] = set()
        for path in self.judgment_files:
            yield path, self._pairs_of(path, _judged(path), seen)
        for path in self.vote_files:
            yield path, self._pairs_of(path, _voted(path), seen)
        if not self.judgment_files and not self.vote_files:
            for path in dict.fromkeys(question.source for question in self.questions.values()):
                yield path, self._pairs_of(path, self._all_names(path), seen)

    def votes(self) -> Iterator[FileLines[Vote]]:
        """Every human vote, whether or not its pair can be shown."""
        for path in self.vote_files:
            lines = read_lines(path, parse_vote)
            yield (
                path,
                (
                    line if isinstance(line, BadLine) else Line(line.number, line.record.vote)
                    for line in lines
                ),
            )

    def judgments(self) -> Iterator[FileLines[GivenJudgment]]:
        """Every reply, two per line: of g1, then of g2.

        Another reply of the same judge on the same pair and order is the next sample. The same
        reply with the same time stamp is the same judgment, and has the same sample number.
        """
        samples: Samples = {}
        for path in self.judgment_files:
            yield path, _numbered(path, samples)

    def pair(self, name: PairName) -> Pair:
        """The pair of that name; raises InputError that says which file lacks what."""
        question = self.questions.get(name.question_id)
        if question is None:
            raise InputError(f'no question "{shown(name.question_id)}"; add its question.jsonl')
        turns = question.turns[: name.turn]
        if len(turns) < name.turn:
            cause = f"question {name.question_id} has {len(turns)}"
            raise InputError(f"turn {name.turn} where {cause}; correct the turn")
        category = {} if question.category is None else {"category": question.category}
        return Pair(
            pair_id=name.pair_id,
            prompt=Prompt(
                prompt_id=name.question_id,
                messages=tuple(Message(role="user", content=turn) for turn in turns),
                reference=self._reference(question, name.turn),
                tags=category | {"turn": name.turn},
            ),
            first=self._candidate(name.first_model, name),
            second=self._candidate(name.second_model, name),
        )

    def _candidate(self, model: str, name: PairName) -> Candidate:
        turns = self.answers.get(model, {}).get(name.question_id, ())[: name.turn]
        if len(turns) < name.turn:
            asked = f"question {name.question_id}, turn {name.turn}"
            remedy = f"add it to model_answer/{shown(model)}.jsonl"
            raise InputError(f'no answer of "{shown(model)}" to {asked}; {remedy}')
        messages = tuple(Message(role="assistant", content=turn) for turn in turns)
        return Candidate(messages=messages, model=model)

    def _reference(self, question: Question, turn: int) -> str | None:
        turns = question.reference
        if self.references:
            turns = self.references.get(question.question_id, ())
        return "\n\n".join(text for text in turns[:turn] if text.strip()) or None

    def _all_names(self, path: str) -> Iterator[Line[PairName]]:
        for question_id, question in self.questions.items():
            if question.source == path:
                for turn in range(1, len(question.turns) + 1):
                    for models in combinations(sorted(self.answers), 2):
                        yield Line(question.number, PairName(question_id, turn, *models))

    def _pairs_of(
        self, path: str, names: Iterable[Line[PairName]], seen: set[PairName]
    ) -> Iterator[Line[Pair] | BadLine]:
        for line in names:
            if line.record in seen:
                continue
            seen.add(line.record)
            try:
                pair = self.pair(line.record)
            except InputError as error:
                yield BadLine(path, line.number, str(error))
            else:
                yield Line(line.number, pair)


def _judged(path: str) -> Iterator[Line[PairName]]:
    for line in read_lines(path, parse_judgments):
        if isinstance(line, Line):
            yield Line(line.number, line.record.name)


def _voted(path: str) -> Iterator[Line[PairName]]:
    for line in read_lines(path, parse_vote):
        if isinstance(line, Line):
            yield Line(line.number, line.record.name)


def _numbered(path: str, samples: Samples) -> Iterator[Line[GivenJudgment] | BadLine]:
    """The replies of a file; `samples` is carried from file to file."""
    for line in read_lines(path, parse_judgments):
        if isinstance(line, BadLine):
            yield line
            continue
        for given in line.record.judgments:
            known = samples.setdefault((given.judge, given.pair_id, given.order), {})
            reply = hash((given.reply, given.finish_reason, line.record.written_at))
            sample = known.setdefault(reply, len(known))
            yield Line(line.number, given.model_copy(update={"sample": sample}))

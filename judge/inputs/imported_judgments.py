"""Judgments made elsewhere: who gave them, and what our parser reads in their replies."""

from collections.abc import Iterable, Mapping

from judge.formats.judgments import GivenJudgment
from judge.identity import judge_key, judgment_id
from judge.ledger.intake import unknown_pair
from judge.ledger.runs import RunJudge
from judge.records import Judgment
from judge.replies.reading import read_reply_text
from judge.replies.verdicts import PARSER

IMPORTED_PROMPT = "imported"
"""Stands for the prompt of judgments made elsewhere, which is not known but for its ties."""
IMPORTED_PROMPT_WITHOUT_TIE = "imported-without-tie"


class ImportedJudges:
    """The judges of imported judgments. The first to use a name takes it."""

    def __init__(self, known: Iterable[RunJudge], *, allows_tie: bool) -> None:
        self._by_name = {judge.name: judge for judge in known}
        self._allows_tie = allows_tie

    @property
    def known(self) -> list[RunJudge]:
        return list(self._by_name.values())

    def problem(self, given: GivenJudgment, sides: Mapping[str, tuple[str, bool]]) -> str | None:
        """Return why a judgment cannot be taken, if so; its judge is known from then on.

        `sides` maps the pair ids that the ledger knows to content id and orientation.
        """
        if given.pair_id not in sides:
            return unknown_pair(given.pair_id)
        judge = self._judge(given)
        known = self._by_name.setdefault(judge.name, judge)
        if known.model != judge.model:
            return (
                f'judge "{judge.name}" is known with model "{known.model}", here with '
                f'"{judge.model}"; give one of the two another "judge" name'
            )
        if known.prompt != judge.prompt:
            ties = "without" if known.prompt == IMPORTED_PROMPT_WITHOUT_TIE else "with"
            return (
                f'judge "{judge.name}" is known from an import {ties} ties allowed; import this '
                'one alike, or give it another "judge" name'
            )
        return None

    def judgment(self, given: GivenJudgment, side: tuple[str, bool], *, now: str) -> Judgment:
        """Return a given judgment in the orientation of its stored content, read by our parser."""
        content_id, is_exchanged = side
        key = self._judge(given).judge_key
        order = given.order.other if is_exchanged else given.order
        read = read_reply_text(
            given.reply, given.finish_reason or "stop", allows_tie=self._allows_tie
        )
        return Judgment(
            judgment_id=judgment_id(content_id, key, order, given.sample),
            content_id=content_id,
            judge_key=key,
            order=order,
            sample=given.sample,
            reply=given.reply,
            finish_reason=given.finish_reason,
            verdict=read.verdict,
            status=read.status,
            reason=read.reason,
            parser=PARSER,
            created_at=now,
        )

    def _judge(self, given: GivenJudgment) -> RunJudge:
        """Return the judge behind a reply; its name stands for the settings not known."""
        model = given.model or given.judge
        prompt = IMPORTED_PROMPT if self._allows_tie else IMPORTED_PROMPT_WITHOUT_TIE
        return RunJudge(
            judge_key=judge_key(model, prompt, {"judge": given.judge}),
            name=given.judge,
            model=model,
            prompt=prompt,
            prompt_digest=prompt,
            sampling={},
        )

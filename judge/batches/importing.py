"""Reading what came of a batch into the ledger, whatever came and in whatever sequence.

Files are read twice: first to see which line speaks for each ask, then to store those lines.
Reading the same files again adds nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from judge.batches.judges import reading_judge, refused_request
from judge.batches.lines import BatchLine, outcome_of, parse_line
from judge.batches.manifest import find_manifest
from judge.batches.outputs import output_files
from judge.batches.reports import BatchImport, Named
from judge.batches.sorting import LineIndex, Part, Place
from judge.chat import Reply
from judge.errors import EndpointError, InputError, ItemError, LedgerError
from judge.formats.lines import BadLine, read_lines
from judge.formats.problems import shown
from judge.job.judging import Asked, ResolvedJudge, judgment_of
from judge.job.policy_counts import count_asks
from judge.ledger.batches import (
    BatchAsk,
    BatchExport,
    count_missing,
    find_batch_asks,
    find_exports,
    missing_batch_asks,
    store_replies,
    stored_replies,
)
from judge.ledger.runs import find_run
from judge.ledger.store import Ledger
from judge.prices.price_list import paid_in_batch
from judge.prices.pricing import Usage, cost_usd
from judge.records import Judgment
from judge.settings.config import Endpoint, Settings

PAGE = 500
PAGE_BYTES = 16 * 2**20
"""Of lines that are held before they are stored."""


def import_batch(
    paths: Sequence[Path], ledger_path: Path, *, settings: Settings | None = None
) -> BatchImport:
    """Store what the lines of output and error files say; return what was found.

    A folder stands for the files in it that are no requests. Every judgment is what a direct
    reply would have become. `settings` are looked at for judges that the export did not note.
    Raises InputError where there is nothing to read, ConfigError where a judge's prompt is not
    to be had any more, and LedgerError.
    """
    files = output_files(paths)
    if not ledger_path.exists():
        raise LedgerError(
            f"ledger {ledger_path} does not exist; give the --ledger that the batch was exported "
            "from"
        )
    report = BatchImport(files)
    with Ledger(ledger_path) as ledger, LineIndex() as index:
        for position, path in enumerate(files):
            for line in read_lines(path, parse_line):
                report.lines += 1
                if isinstance(line, BadLine):
                    report.broken.add(str(line))
                else:
                    index.add(line.record, Place(position, line.number))
        _refuse_useless(report, report.broken, "these are no output or error files of a batch")
        importer = _Importer(ledger, report, settings)
        for page in _pages(_taken(files, index, report)):
            importer.store(page)
        _refuse_useless(report, report.foreign, "give the --ledger that it was exported from")
        report.run_ids |= _runs_of_folders(ledger, paths)
        report.missing = count_missing(ledger, sorted(report.run_ids))
        if len(report.run_ids) == 1:
            run = find_run(ledger, *report.run_ids)
            report.source, report.wanted = run.source, count_asks(ledger, run).open
    return report


def missing_rows(ledger_path: Path, run_ids: Iterable[str]) -> Iterator[dict[str, object]]:
    """Yield what is still missing of the batches of some runs, as records for JSON Lines."""
    with Ledger(ledger_path, read_only=True) as ledger:
        for ask, pair_id in missing_batch_asks(ledger, sorted(run_ids)):
            yield {
                "custom_id": ask.judgment_id,
                "pair_id": pair_id,
                "judge_key": ask.judge_key,
                "order": ask.order,
                "sample": ask.sample,
            }


def _refuse_useless(report: BatchImport, named: Named, remedy: str) -> None:
    """Raise InputError where every single line is of one kind that is of no use."""
    if named.count and named.count == report.lines:
        more = f"and {named.count - len(named.shown):,} more" * (named.count > len(named.shown))
        raise InputError("\n".join(filter(None, [*named.shown, more, f"nothing stored; {remedy}"])))


def _runs_of_folders(ledger: Ledger, paths: Sequence[Path]) -> set[str]:
    """Return the runs whose folders were named, though no line may have come back."""
    manifests = [find_manifest(path) for path in paths if path.is_dir()]
    known = find_exports(ledger, [m.export_id for m in manifests if m is not None])
    return {export.run_id for export in known.values()}


def _taken(
    files: Sequence[Path], index: LineIndex, report: BatchImport
) -> Iterator[tuple[str, BatchLine]]:
    """Yield the line that speaks for each ask, with where it stands; note the others."""
    parts = index.parts()
    for path in files:
        for line in read_lines(path, parse_line):
            if isinstance(line, BadLine):
                continue
            where = f"{path}:{line.number}"
            match next(parts)[1]:
                case Part.TAKEN:
                    yield where, line.record
                case Part.DOUBLED:
                    report.doubled.add(f"{where}: {line.record.custom_id} again")
                case Part.CONFLICTING:
                    report.conflicting.add(
                        f"{where}: {line.record.custom_id} has another reply in these files"
                    )


def _pages(lines: Iterable[tuple[str, BatchLine]]) -> Iterator[list[tuple[str, BatchLine]]]:
    page: list[tuple[str, BatchLine]] = []
    held = 0
    for where, line in lines:
        page.append((where, line))
        held += len(line.answer.body) if line.answer else 0
        if len(page) == PAGE or held >= PAGE_BYTES:
            yield page
            page, held = [], 0
    if page:
        yield page


class _Importer:
    """Stores the lines that speak for an ask, a page at a time."""

    def __init__(self, ledger: Ledger, report: BatchImport, settings: Settings | None) -> None:
        self._ledger = ledger
        self._report = report
        self._settings = settings
        self._exports: dict[str, BatchExport] = {}
        self._judges: dict[tuple[str, str], tuple[ResolvedJudge, Endpoint]] = {}

    def store(self, page: Sequence[tuple[str, BatchLine]]) -> None:
        """Store what some lines say, all at once."""
        report = self._report
        asks = find_batch_asks(self._ledger, [line.custom_id for _, line in page])
        self._learn_exports({ask.export_id for ask in asks.values()})
        stored = stored_replies(self._ledger, list(asks.values()))
        now = datetime.now(UTC).isoformat(timespec="seconds")
        given: list[tuple[str, Judgment]] = []
        unanswered: list[dict[str, object]] = []
        for where, line in page:
            ask = asks.get(line.custom_id)
            if ask is None:
                named = f'custom_id "{shown(line.custom_id)}"'
                report.foreign.add(f"{where}: {named} was not exported from this ledger")
                continue
            run_id = self._exports[ask.export_id].run_id
            report.run_ids.add(run_id)
            outcome, judgment = self._read(ask, line, now)
            if ask.key in stored:
                self._note_stored(where, line, judgment, stored[ask.key])
            elif judgment is not None:
                given.append((run_id, judgment))
                self._count(judgment)
            else:
                report.note_pending(str(outcome))
                unanswered.append(_deferral(ask, run_id, reason=str(outcome), now=now))
        store_replies(self._ledger, given, unanswered)

    def _read(
        self, ask: BatchAsk, line: BatchLine, now: str
    ) -> tuple[Reply | EndpointError, Judgment | None]:
        """Return what came of an ask, and the judgment where it is one."""
        judge, endpoint = self._judge(ask)
        outcome = outcome_of(
            line,
            where=judge.endpoint,
            accept_missing_finish_reason=endpoint.accept_missing_finish_reason,
        )
        if isinstance(outcome, ItemError) and line.answer is not None:
            # A field that is refused is none of the item's, so the ask stays pending.
            outcome = refused_request(line.answer, judge, endpoint) or outcome
        if isinstance(outcome, EndpointError) and not isinstance(outcome, ItemError):
            return outcome, None
        if isinstance(outcome, Reply):
            outcome = self._priced(outcome, judge, endpoint)
        asked = Asked(ask.content_id, judge, ask.order, ask.sample)
        return outcome, judgment_of(asked, outcome, attempts=1, rewrites=ask.rewrites, now=now)

    def _priced(self, reply: Reply, judge: ResolvedJudge, endpoint: Endpoint) -> Reply:
        """Return a reply with what it cost in a batch, where that is known."""
        given, made = reply.input_tokens, reply.output_tokens
        prices = self._settings.prices if self._settings else {}
        price = paid_in_batch(judge.model, endpoint, prices)
        if price is None or given is None or made is None:
            return reply
        usage = Usage(given, made, min(reply.cached_tokens or 0, given))
        return replace(reply, cost_usd=cost_usd(price, usage))

    def _note_stored(
        self, where: str, line: BatchLine, judgment: Judgment | None, reply: str
    ) -> None:
        if judgment is None or judgment.reply == reply:
            self._report.stored_before += 1
        else:
            self._report.conflicting.add(
                f"{where}: {line.custom_id} has another reply in the ledger, which keeps it"
            )

    def _count(self, judgment: Judgment) -> None:
        report = self._report
        report.new += 1
        report.input_tokens += judgment.input_tokens or 0
        report.output_tokens += judgment.output_tokens or 0
        if judgment.status is not None:
            report.statuses[judgment.status] += 1

    def _learn_exports(self, export_ids: set[str]) -> None:
        unknown = export_ids - self._exports.keys()
        if unknown:
            self._exports |= find_exports(self._ledger, sorted(unknown))

    def _judge(self, ask: BatchAsk) -> tuple[ResolvedJudge, Endpoint]:
        key = ask.export_id, ask.judge_key
        if key not in self._judges:
            export = self._exports[ask.export_id]
            self._judges[key] = reading_judge(export, ask.judge_key, self._settings)
        return self._judges[key]


def _deferral(ask: BatchAsk, run_id: str, *, reason: str, now: str) -> dict[str, object]:
    return {
        "run_id": run_id,
        "content_id": ask.content_id,
        "judge_key": ask.judge_key,
        "order": ask.order.value,
        "reason": reason,
        "attempts": 1,
        "created_at": now,
    }

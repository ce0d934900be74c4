"""Writing what a run still lacks as files of requests that a provider works through later."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

from pydantic_core import to_json

from judge.backends.body import chat_body
from judge.batches.cutting import RequestFiles
from judge.batches.judges import noted_judges
from judge.batches.manifest import MANIFEST, URL, Manifest, RequestFile, write_record
from judge.errors import ConfigError, EvenhandError, ItemError
from judge.identity import judgment_id
from judge.inputs.intake import IntakeReport
from judge.job.ask_order import side_by_side
from judge.job.asking import missing_asks
from judge.job.judging import Ask, ResolvedJudge, judgment_of, rendered_of, request_of
from judge.job.pipeline import JobInput, prepare_run
from judge.job.policy_counts import count_asks
from judge.job.ready_judges import resolved_judges
from judge.ledger.batches import (
    BatchAsk,
    BatchExport,
    add_batch_asks,
    add_export,
    count_still_out,
    store_replies,
)
from judge.ledger.runs import Run
from judge.ledger.store import Ledger
from judge.ledger.work import work_page
from judge.policies.choice import policy_of
from judge.records import Judgment, Reading, Status
from judge.settings.config import Settings
from prompts.errors import PromptError

PAGE = 256


@dataclass(frozen=True, slots=True)
class Export:
    """What one export wrote."""

    run_id: str
    folder: Path | None
    """None where the run lacks nothing that could be written."""
    files: tuple[RequestFile, ...]
    intake: IntakeReport
    stored: int
    """Asks of the run that had an answer before."""
    unaskable: int
    """Asks that no template could show; they are stored as failed, as when they are asked."""
    too_long: int
    """Asks longer than a whole file may be; they stay pending."""
    still_out: int
    """Asks that an earlier export holds too and of which nothing has come back yet."""

    @property
    def requests(self) -> int:
        return sum(file.requests for file in self.files)


def export_batch(
    job: JobInput,
    settings: Settings,
    ledger_path: Path,
    out: Path,
    *,
    retry: frozenset[Status] = frozenset(),
    on_requests: Callable[[int], None] | None = None,
) -> Export:
    """Write every request that judging an input still takes, and return what was written.

    The run, its judges and the bodies are those of `judge.run`. `out` must not exist or be empty;
    it appears whole or not at all. `on_requests` is handed the number written so far. Memory does
    not grow with the input. Raises ConfigError, InputError and LedgerError.
    """
    judges = {judge.judge_key: judge for judge in resolved_judges(settings)}
    _check_free(out)
    with Ledger(ledger_path) as ledger:
        run, intake = prepare_run(ledger, job, settings, list(judges.values()))
        before = count_asks(ledger, run).answered
        export = BatchExport(token_hex(8), run.run_id, str(out.resolve()), {}, _now())
        with _folder_to_be(out) as partial:
            export = replace(
                export, judges=noted_judges(settings, judges, written=partial, kept=out.resolve())
            )
            with ledger.transaction():
                written = _write(
                    ledger, run, judges, settings, partial, export,
                    retry=retry, on_requests=on_requests,
                )  # fmt: skip
        return Export(
            run_id=run.run_id,
            folder=out if written.files else None,
            files=written.files,
            intake=intake,
            stored=before,
            unaskable=written.unaskable,
            too_long=written.too_long,
            still_out=written.still_out,
        )


@dataclass(slots=True)
class _Written:
    """What is counted while requests are written."""

    files: tuple[RequestFile, ...] = ()
    requests: int = 0
    unaskable: int = 0
    too_long: int = 0
    still_out: int = 0
    asks: list[BatchAsk] = field(default_factory=list)
    """Of the page at hand."""
    failed: list[tuple[str, Judgment]] = field(default_factory=list)
    """Of the page at hand, each with the run."""


def _write(
    ledger: Ledger,
    run: Run,
    judges: dict[str, ResolvedJudge],
    settings: Settings,
    folder: Path,
    export: BatchExport,
    *,
    retry: frozenset[Status],
    on_requests: Callable[[int], None] | None,
) -> _Written:
    written = _Written()
    limits = settings.batching
    with RequestFiles(
        folder, max_requests=limits.max_requests, max_bytes=limits.max_bytes
    ) as files:
        for page in _ask_pages(ledger, run, judges, retry=retry):
            for ask, was_cut in page:
                _add(ask, files, written, was_cut=was_cut, settings=settings, export=export)
            written.still_out += count_still_out(ledger, run.run_id, written.asks)
            add_batch_asks(ledger, written.asks)
            store_replies(ledger, written.failed, ())
            written.asks, written.failed = [], []
            if on_requests is not None:
                on_requests(written.requests)
        written.files = files.finish()
    if written.files:
        add_export(ledger, export)
        manifest = Manifest(
            export_id=export.export_id,
            run_id=run.run_id,
            created_at=export.created_at,
            files=written.files,
        )
        write_record(folder / MANIFEST, manifest)
    return written


def _ask_pages(
    ledger: Ledger, run: Run, judges: dict[str, ResolvedJudge], *, retry: frozenset[Status]
) -> Iterator[list[tuple[Ask, bool]]]:
    """Yield everything that the run still has to ask, some at a time.

    With each stands whether it was asked before and its reply cut.
    """
    policy = policy_of(run.policy_settings, run.judge_keys)
    after = -1
    while page := work_page(
        ledger, run.run_id, list(judges), after=after, page_size=PAGE, one_order=run.one_order
    ):
        after = page[-1].position
        answered = {item.content.content_id: item.answered for item in page}
        asks = [
            ask
            for item in page
            for ask in missing_asks(item, judges, run, retry=retry, policy=policy)
        ]
        # An engine that works through the file reuses what neighbours share.
        yield [(ask, _was_cut(ask, answered[ask.content_id])) for ask in side_by_side(asks)]


def _was_cut(ask: Ask, answered: Sequence[Reading]) -> bool:
    """Return whether the last reply to the same question was cut at the token limit."""
    return any(
        past.status is Status.TRUNCATED
        and (past.judge_key, past.order, past.sample + 1)
        == (ask.judge.judge_key, ask.order, ask.sample)
        for past in answered
    )


def _add(
    ask: Ask,
    files: RequestFiles,
    written: _Written,
    *,
    was_cut: bool,
    settings: Settings,
    export: BatchExport,
) -> None:
    judge = ask.judge
    try:
        rendered = rendered_of(ask)
    except PromptError as error:  # as when it is asked: nothing is ever sent
        refused = ItemError(str(error))
        failed = judgment_of(ask, refused, attempts=0, rewrites=0, now=export.created_at)
        written.failed.append((export.run_id, failed))
        written.unaskable += 1
        return
    id_ = judgment_id(ask.content_id, judge.judge_key, ask.order, ask.sample)
    request = request_of(judge, rendered)
    if was_cut:  # as a direct ask does at once
        request = replace(request, max_tokens=2 * request.max_tokens)
    body = chat_body(request, settings.endpoints[judge.endpoint])
    line = to_json({"custom_id": id_, "method": "POST", "url": URL, "body": body})
    if not files.add(line, endpoint=judge.endpoint, model=judge.model, judge=judge.name):
        written.too_long += 1
        return
    written.requests += 1
    written.asks.append(
        BatchAsk(
            judgment_id=id_,
            export_id=export.export_id,
            content_id=ask.content_id,
            judge_key=judge.judge_key,
            order=ask.order,
            sample=ask.sample,
            rewrites=rendered.rewrites,
        )
    )


def _check_free(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(
            f"{out}: exists and is not an empty folder; nothing was written; name another --out"
        )


@contextmanager
def _folder_to_be(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its place when the block ends well and it holds a manifest.

    Otherwise it is removed. Raises EvenhandError with the cause and the remedy.
    """
    partial = out.with_name(f".{out.name}.{token_hex(4)}.partial")
    try:
        partial.mkdir(parents=True)
        yield partial
        if (partial / MANIFEST).exists():
            partial.rename(out)
    except OSError as error:
        raise EvenhandError(
            f"{out}: cannot be written ({error.strerror or error}); name another --out"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

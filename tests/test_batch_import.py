"""What came of a batch: whatever lines come back, in any sequence, the ledger ends the same."""

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

import judge
from judge.batches.lines import parse_line
from judge.batches.reports import BatchImport
from judge.errors import ConfigError, InputError
from judge.ledger.batches import missing_batch_asks
from judge.ledger.store import Ledger
from judge.settings.config import Endpoint, Judge, Settings
from judge.simulator.server import running_simulator
from judge.simulator.settings import SimulatorSettings
from tests.fakes import completion, rows, scripted_server, settings_for, write_pairs

NOWHERE = settings_for("http://127.0.0.1:9/v1")
NOT_COMPARED = {"created_at", "run_id", "latency_s"}

Row = dict[str, Any]


class Exported:
    """A run of some pairs whose asks were exported and whose replies may come."""

    def __init__(self, folder: Path, told: Settings = NOWHERE, *, pairs: int = 3) -> None:
        self.pairs = write_pairs(folder / "pairs.jsonl", pairs)
        self.settings = told
        self.folder = folder / "batch"
        self.ledger = folder / "l.db"
        done = judge.batch_export(self.pairs, self.folder, settings=told, ledger=self.ledger)
        self.run_id = done.run_id
        self.ids = [
            json.loads(line)["custom_id"]
            for file in done.files
            for line in (self.folder / file.name).read_text().splitlines()
        ]

    def take(self, *files: Sequence[Row | str]) -> BatchImport:
        """Import files of these lines."""
        return self.take_files(*files)

    def take_files(self, *files: Sequence[Row | str], **more: Any) -> BatchImport:
        paths = []
        for number, lines in enumerate(files):
            path = self.folder.parent / f"out-{number}.jsonl"
            texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
            path.write_text("".join(f"{text}\n" for text in texts))
            paths.append(path)
        return judge.batch_import(*paths, ledger=self.ledger, **more)

    @property
    def stored(self) -> dict[str, Row]:
        return {row["judgment_id"]: row for row in rows(self.ledger)}

    @property
    def missing(self) -> set[str]:
        with Ledger(self.ledger, read_only=True) as ledger:
            return {ask.judgment_id for ask, _ in missing_batch_asks(ledger, [self.run_id])}


def replied(custom_id: str, text: str = "So [[A]]", reason: str | None = "stop") -> Row:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}}
    body = {
        "id": "chatcmpl-1",
        "choices": [{**choice, "finish_reason": reason}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 5},
    }
    response = {"status_code": 200, "request_id": "r", "body": body}
    return {"id": "b", "custom_id": custom_id, "response": response, "error": None}


def rejected(custom_id: str, status: int = 400, code: str = "context_length_exceeded") -> Row:
    error = {"message": f"it says {status}", "type": "some_error", "code": code}
    response = {"status_code": status, "request_id": "r", "body": {"error": error}}
    return {"id": "b", "custom_id": custom_id, "response": response, "error": None}


def expired(custom_id: str, code: str = "batch_expired") -> Row:
    error = {"code": code, "message": "This request could not be executed in time."}
    return {"id": "b", "custom_id": custom_id, "response": None, "error": error}


def vllm_failed(custom_id: str) -> Row:
    """As `vllm run-batch` 0.32 wrote it."""
    message = "This model's maximum context length is 4096 tokens. Please reduce the length."
    error = {"message": message, "type": "BadRequestError", "param": "input_text", "code": 400}
    return {
        "id": "vllm-a204a04a9795ac9a",
        "custom_id": custom_id,
        "response": {"status_code": 400, "request_id": "vllm-batch-905b", "body": None},
        "error": {"error": error},
    }


def vllm_replied(custom_id: str) -> Row:
    message = {"role": "assistant", "content": "[[B]]", "refusal": None, "reasoning": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1140, "total_tokens": 1164, "completion_tokens": 24}
    body = {
        "id": "chatcmpl-ac5b", "object": "chat.completion", "model": "/tiny",
        "choices": [choice], "usage": {**usage, "prompt_tokens_details": None},
    }  # fmt: skip
    response = {"status_code": 200, "request_id": "vllm-batch-a5bb", "body": body}
    return {"id": "vllm-a3fc", "custom_id": custom_id, "response": response, "error": None}


@pytest.fixture
def exported(tmp_path: Path) -> Exported:
    return Exported(tmp_path)


async def test_a_batch_leaves_the_ledger_that_a_direct_run_leaves(tmp_path: Path) -> None:
    texts = {"stop": "Hm. [[B]]", "length": "I thi", "content_filter": ""}
    script = [*texts.items(), ("stop", "No idea"), ("stop", "[[C]]"), ("stop", "[[A]]")]
    exported = Exported(tmp_path)
    found = exported.take(
        [
            replied(id_, text, reason)
            for id_, (reason, text) in zip(exported.ids, script, strict=True)
        ]
    )
    bodies = {
        json.dumps(json.loads(line)["body"]["messages"]): reply
        for line, reply in zip(
            (exported.folder / "requests-0001.jsonl").read_text().splitlines(), script, strict=True
        )
    }

    def answer(sent: Any) -> Any:
        reason, text = bodies[json.dumps(sent.body["messages"])]
        return completion(text, reason)

    async with scripted_server(answer) as server:
        await judge.arun(
            exported.pairs, settings=settings_for(server.base_url), ledger=tmp_path / "direct.db"
        )
    direct = {row["judgment_id"]: row for row in rows(tmp_path / "direct.db")}
    assert found.new == len(direct) == 6
    for id_, row in exported.stored.items():
        skipped = NOT_COMPARED | ({"attempts"} if row["status"] == "truncated" else set())
        assert {k: v for k, v in row.items() if k not in skipped} == {
            k: v for k, v in direct[id_].items() if k not in skipped
        }
        assert (row["run_id"], row["latency_s"]) == (exported.run_id, None)


def test_a_rejection_becomes_the_judgment_that_a_direct_one_becomes(exported: Exported) -> None:
    ids = exported.ids
    found = exported.take(
        [rejected(ids[0]), rejected(ids[1], 422, "content_policy_violation"), vllm_failed(ids[2])]
    )
    statuses = {id_: row["status"] for id_, row in exported.stored.items()}
    assert statuses == {ids[0]: "failed", ids[1]: "refused", ids[2]: "failed"}
    assert "maximum context length is 4096" in exported.stored[ids[2]]["reason"]
    assert {row["verdict"] for row in exported.stored.values()} == {None}
    assert found.missing == 3


def test_a_refusal_of_how_all_are_asked_leaves_all_pending_and_names_the_remedy(
    exported: Exported,
) -> None:
    error = {"message": "'max_tokens' is not supported with this model.", "param": "max_tokens"}
    lines = [
        {"custom_id": id_, "response": {"status_code": 400, "body": {"error": error}}}
        for id_ in exported.ids
    ]
    found = exported.take(lines)
    assert exported.stored == {}
    assert found.missing == len(exported.ids)
    reasons = {row["reason"] for row in rows(exported.ledger, "deferrals")}
    assert len(reasons) == 1
    assert 'max_tokens_field = "max_completion_tokens"' in reasons.pop()


@pytest.mark.parametrize(
    "line",
    [
        lambda id_: rejected(id_, 429, "rate_limit_exceeded"),
        lambda id_: rejected(id_, 500, "server_error"),
        lambda id_: rejected(id_, 401, "invalid_api_key"),
        lambda id_: rejected(id_, 404, "model_not_found"),
        expired,
        lambda id_: expired(id_, "batch_cancelled"),
        lambda id_: replied(id_, "[[A]]", None),
        lambda id_: {"custom_id": id_, "response": {"status_code": 200, "body": None}},
        lambda id_: {"custom_id": id_, "response": {"status_code": 200, "body": "<html>"}},
        lambda id_: {"custom_id": id_, "response": {"status_code": "200", "body": {}}},
        lambda id_: {"custom_id": id_, "response": None, "error": "it broke"},
        lambda id_: {"custom_id": id_, "response": {"status_code": 503}, "error": {"code": 7}},
    ],
)
def test_what_may_yet_succeed_stays_pending_with_its_reason(exported: Exported, line: Any) -> None:
    found = exported.take([line(exported.ids[0])])
    assert (found.new, found.pending.total(), found.missing) == (0, 1, 6)
    assert exported.stored == {}
    deferred = rows(exported.ledger, "deferrals")
    assert [row["reason"] for row in deferred] == list(found.pending)
    again = judge.batch_export(
        exported.pairs, exported.folder.parent / "again",
        settings=exported.settings, ledger=exported.ledger,
    )  # fmt: skip
    assert (again.requests, again.still_out) == (6, 5)


def test_vllm_output_is_read_with_its_usage(exported: Exported) -> None:
    exported.take([vllm_replied(exported.ids[0])])
    row = exported.stored[exported.ids[0]]
    assert (row["verdict"], row["input_tokens"], row["output_tokens"]) == ("B", 1140, 24)


def test_a_partial_output_is_kept_and_export_writes_exactly_the_rest(exported: Exported) -> None:
    """An expired batch."""
    done, lost = exported.ids[:4], exported.ids[4:]
    found = exported.take([replied(id_) for id_ in done], [expired(id_) for id_ in lost])
    assert (found.new, found.missing, found.source) == (4, 2, str(exported.pairs))
    again = exported.folder.parent / "again"
    judge.batch_export(exported.pairs, again, settings=NOWHERE, ledger=exported.ledger)
    written = (again / "requests-0001.jsonl").read_text().splitlines()
    assert {json.loads(line)["custom_id"] for line in written} == set(lost) == exported.missing


def test_a_file_cut_in_the_middle_gives_what_is_whole(exported: Exported) -> None:
    text = "\n".join(json.dumps(replied(id_)) for id_ in exported.ids)
    found = exported.take([text[: int(0.7 * len(text))]])
    assert found.broken.count == 1
    assert found.new == len(exported.stored) == found.lines - 1 == 4
    assert "not valid JSON" in found.broken.shown[0]
    assert found.broken.shown[0].startswith(f"{exported.folder.parent / 'out-0.jsonl'}:5: ")


def test_foreign_doubled_broken_and_conflicting_lines_are_named_and_no_label(
    exported: Exported,
) -> None:
    first, second = exported.ids[:2]
    found = exported.take(
        [
            replied(first, "[[A]]"),
            replied("0" * 32, "[[B]]"),
            "[1, 2]",
            replied(first, "[[A]]"),
            replied(second, "[[B]]"),
            replied(second, "[[A]]"),
            {"id": "x"},
            {**replied(""), "custom_id": None},
            {"custom_id": "x\ny", "response": {}},
            {"custom_id": first},
            "",
        ]
    )
    at = f"{exported.folder.parent / 'out-0.jsonl'}:"
    assert (found.lines, found.new, found.missing) == (10, 2, 4)
    assert [text.removeprefix(at).split(":")[0] for text in found.broken.shown] == [
        "3", "7", "8", "9", "10",
    ]  # fmt: skip
    assert [text.removeprefix(at).split(":")[0] for text in found.foreign.shown] == ["2"]
    assert [text.removeprefix(at).split(":")[0] for text in found.doubled.shown] == ["4"]
    assert found.conflicting.count == 1
    assert "0" * 32 not in exported.stored


def test_only_the_first_lines_of_a_kind_are_named_and_all_are_counted(exported: Exported) -> None:
    lines = [replied(exported.ids[0]), *(replied(f"{number:032d}") for number in range(40))]
    found = exported.take(lines)
    assert (found.foreign.count, len(found.foreign.shown)) == (40, 10)


def test_an_answer_goes_before_a_failure_of_the_same_ask_whichever_comes_first(
    exported: Exported,
) -> None:
    first, second = exported.ids[:2]
    found = exported.take(
        [expired(first), replied(first), rejected(second, 429)],
        [replied(second), rejected(second, 500)],
    )
    assert {row["verdict"] for row in exported.stored.values()} == {"A"}
    assert (found.new, found.pending.total(), found.conflicting.count) == (2, 0, 0)


def test_importing_again_adds_nothing_and_a_later_other_reply_changes_nothing(
    exported: Exported,
) -> None:
    exported.take([replied(exported.ids[0], "[[A]]")])
    before = exported.stored
    again = exported.take([replied(exported.ids[0], "[[A]]")])
    assert (again.new, again.stored_before) == (0, 1)
    other = exported.take([replied(exported.ids[0], "[[B]]"), expired(exported.ids[0])])
    assert (other.new, other.conflicting.count) == (0, 1)
    assert "another reply in the ledger, which keeps it" in other.conflicting.shown[0]
    assert exported.stored == before


def test_a_request_file_given_by_mistake_says_so(exported: Exported) -> None:
    with pytest.raises(InputError, match="is a request, not what came of one"):
        judge.batch_import(exported.folder / "requests-0001.jsonl", ledger=exported.ledger)


def test_a_folder_stands_for_its_outputs(exported: Exported) -> None:
    with pytest.raises(InputError, match="holds no output files yet"):
        judge.batch_import(exported.folder, ledger=exported.ledger)
    lines = [json.dumps(replied(id_)) for id_ in exported.ids]
    (exported.folder / "out.jsonl").write_text("\n".join(lines[:3]))
    (exported.folder / "more.jsonl").write_text("\n".join(lines[3:]))
    (exported.folder / "errors.jsonl").write_text("")
    found = judge.batch_import(
        exported.folder, exported.folder / "out.jsonl", ledger=exported.ledger
    )
    assert (len(found.files), found.new, found.doubled.count, found.missing) == (2, 6, 0, 0)


async def test_a_run_afterwards_asks_only_what_did_not_come_back(tmp_path: Path) -> None:
    async with running_simulator(SimulatorSettings(reply_words=5)) as simulator:
        exported = Exported(tmp_path, settings_for(simulator.base_url))
        exported.take([replied(id_) for id_ in exported.ids[:5]])
        result = await judge.arun(
            exported.pairs, settings=exported.settings, ledger=exported.ledger
        )
        assert simulator.stats.requests == 1
    assert result.run_id == exported.run_id
    assert (result.progress.stored_before, result.progress.judged) == (5, 1)


def test_what_is_missing_can_be_written_to_a_file(exported: Exported) -> None:
    out = exported.folder.parent / "missing.jsonl"
    exported.take_files([replied(exported.ids[0])], missing_out=out)
    listed = [json.loads(line) for line in out.read_text().splitlines()]
    assert {row["custom_id"] for row in listed} == set(exported.ids[1:])
    assert {row["pair_id"] for row in listed} == {"p0", "p1", "p2"}


def test_an_edited_prompt_still_reads_the_replies_of_its_former_self(tmp_path: Path) -> None:
    template = tmp_path / "mine.toml"
    built_in = Path(judge.__file__).parents[1] / "prompts" / "templates" / "pair-tie.toml"
    template.write_bytes(built_in.read_bytes())
    told = settings_for("http://127.0.0.1:9/v1", Judge(model="m", prompt=str(template)))
    exported = Exported(tmp_path, told)
    template.write_text(template.read_text().replace("impartial judge", "strict judge"))
    exported.take([replied(exported.ids[0], "[[C]]")])
    assert exported.stored[exported.ids[0]]["verdict"] == "tie"


def test_edited_criteria_still_read_the_replies_of_their_former_self(tmp_path: Path) -> None:
    criteria = tmp_path / "mine.toml"
    criteria.write_text('name = "mine"\nprinciples = ["Prefer the shorter answer."]\n')
    mine = Judge(model="m", prompt="pair-criteria", criteria=str(criteria))
    exported = Exported(tmp_path, settings_for("http://127.0.0.1:9/v1", mine))
    criteria.write_text('name = "mine"\nprinciples = ["Prefer the longer answer."]\n')
    assert exported.take([replied(exported.ids[0])]).new == 1
    assert exported.stored[exported.ids[0]]["verdict"] == "A"


def test_a_prompt_that_is_gone_is_asked_for_and_nothing_is_stored(tmp_path: Path) -> None:
    template = tmp_path / "mine.toml"
    built_in = Path(judge.__file__).parents[1] / "prompts" / "templates" / "pair-tie.toml"
    template.write_bytes(built_in.read_bytes())
    told = settings_for("http://127.0.0.1:9/v1", Judge(model="m", prompt=str(template)))
    exported = Exported(tmp_path, told)
    template.rename(tmp_path / "moved.toml")
    for kept in (exported.folder / "prompts").iterdir():
        kept.unlink()
    with pytest.raises(ConfigError, match=r'judge "m" of the batch .* give --config'):
        exported.take([replied(exported.ids[0])])
    assert exported.stored == {}
    moved = settings_for(
        "http://127.0.0.1:9/v1", Judge(model="m", prompt=str(tmp_path / "moved.toml"))
    )
    found = exported.take_files([replied(exported.ids[0])], settings=moved)
    assert found.new == 1


def test_an_endpoint_that_sends_no_finish_reason_is_read_as_it_was_asked(tmp_path: Path) -> None:
    endpoint = Endpoint(base_url="http://127.0.0.1:9/v1", accept_missing_finish_reason=True)
    told = Settings(endpoints={"default": endpoint}, judges=(Judge(model="m"),))
    exported = Exported(tmp_path, told)
    assert exported.take([replied(exported.ids[0], "[[A]]", None)]).new == 1


def test_a_lone_surrogate_in_a_reply_costs_nothing(exported: Exported) -> None:
    line = json.dumps(replied(exported.ids[0], "odd \ud83d sign\n\n[[A]]"))
    assert "\\ud83d" in line
    assert exported.take([line]).new == 1
    assert exported.stored[exported.ids[0]]["verdict"] == "A"


# ----------------------------------------------------------------------------------------------
# whatever comes back

_KINDS: list[Any] = [
    replied,
    lambda id_: replied(id_, "[[B]]"),
    lambda id_: replied(id_, "no idea"),
    rejected,
    lambda id_: rejected(id_, 429),
    expired,
]


@pytest.fixture(scope="module")
def three_pairs(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return Exported(tmp_path_factory.mktemp("three"))


@contextmanager
def fresh(kept: Exported) -> Iterator[Exported]:
    """The same export with a ledger of its own: exporting for every example would take long."""
    with tempfile.TemporaryDirectory() as folder:
        mine = copy(kept)
        mine.ledger = Path(shutil.copy(kept.ledger, folder))
        mine.folder = Path(folder) / "batch"
        yield mine


@st.composite
def outputs(draw: st.DrawFn) -> tuple[list[int | None], list[int], list[int]]:
    """What comes of each of six asks (None: lost), a sequence of lines, and where files are cut."""
    fates = draw(st.lists(st.none() | st.integers(0, 5), min_size=6, max_size=6))
    present = [position for position, fate in enumerate(fates) if fate is not None]
    extra = draw(st.lists(st.sampled_from(present), max_size=4)) if present else []
    sequence = draw(st.permutations([*present, *extra]))
    return fates, sequence, draw(st.lists(st.integers(0, len(sequence)), max_size=2))


def _in_files(lines: list[Row], cuts: Iterable[int]) -> list[list[Row]]:
    edges = [0, *sorted(cuts), len(lines)]
    files = [lines[start:end] for start, end in pairwise(edges)]
    return [file for file in files if file]


@examples(max_examples=40, deadline=None)
@given(came=outputs())
def test_any_permutation_duplication_or_loss_of_lines_ends_in_the_same_ledger(
    three_pairs: Exported, came: tuple[list[int | None], list[int], list[int]]
) -> None:
    fates, sequence, cuts = came
    with fresh(three_pairs) as exported:
        lines = [_KINDS[fates[position] or 0](exported.ids[position]) for position in sequence]
        if not lines:
            return
        found = exported.take(*_in_files(lines, cuts))
        kept = {p: fate for p, fate in enumerate(fates) if fate is not None and fate < 4}
        expected = {exported.ids[p]: _expected(fate) for p, fate in kept.items()}
        stored = {id_: (row["verdict"], row["status"]) for id_, row in exported.stored.items()}
        assert stored == expected
        assert exported.missing == set(exported.ids) - set(expected)
        assert found.missing == len(exported.missing)
        assert found.new + found.pending.total() + found.doubled.count == len(lines)


@examples(max_examples=25, deadline=None)
@given(sequence=st.permutations(range(5)), is_one_file=st.booleans())
def test_conflicting_lines_end_in_the_same_ledger_in_any_sequence(
    three_pairs: Exported, sequence: list[int], is_one_file: bool
) -> None:
    with fresh(three_pairs) as exported:
        id_ = exported.ids[0]
        lines = [
            replied(id_, "[[A]]"), replied(id_, "[[B]]"), rejected(id_), expired(id_),
            replied(id_, "[[A]]"),
        ]  # fmt: skip
        chosen = [lines[position] for position in sequence]
        found = exported.take(chosen) if is_one_file else exported.take(chosen[:2], chosen[2:])
        best = min(lines[:2], key=lambda line: parse_line(json.dumps(line).encode()).digest)
        reply = best["response"]["body"]["choices"][0]["message"]["content"]
        assert exported.stored[id_]["reply"] == reply
        assert (found.new, found.conflicting.count + found.doubled.count) == (1, 3)


def _expected(fate: int) -> tuple[str | None, str | None]:
    return [("A", None), ("B", None), (None, "unparsed"), (None, "failed")][fate]

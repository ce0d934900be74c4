"""Submitting, following and fetching batches: nothing twice, whatever dies or fails on the way."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

import judge
from judge.backends.openai_batches import OpenAIBatches
from judge.batches.manifest import RequestFile, read_manifest, read_submissions
from judge.batches.patience import ATTEMPTS, patiently
from judge.batches.server import BatchState, BatchStatus
from judge.batches.submitting import BatchFolder
from judge.errors import (
    AccountError,
    ConfigError,
    EndpointError,
    InputError,
    ItemError,
    ThrottledError,
    TransientError,
    UnreachableError,
)
from judge.outcomes.labels import Rule
from judge.policies.rules import PolicyName
from judge.settings.config import Endpoint, Judge, Run, Settings
from judge.simulator.server import Simulator, running_simulator
from judge.simulator.settings import MODEL, SimulatorSettings
from tests.fakes import (
    Scripted,
    failure,
    in_virtual_time,
    rows,
    scripted_server,
    settings_for,
    write_pairs,
)


class Killed(BaseException):
    """The process dies here."""


@dataclass
class FakeServer:
    """A BatchServer in memory, with a script of what goes wrong at each call by name."""

    batches: dict[str, tuple[str, BatchState]] = field(default_factory=dict)
    """Batch id -> digest and state."""
    files: dict[str, bytes] = field(default_factory=dict)
    before: dict[str, list[BaseException | None]] = field(default_factory=dict)
    after: dict[str, list[BaseException | None]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    windows: list[str] = field(default_factory=list)

    async def find(self, sha256: str) -> BatchState | None:
        self._happen("find", self.before)
        for digest, state in reversed(self.batches.values()):
            if digest == sha256 and state.status is not BatchStatus.FAILED:
                return state
        return None

    async def upload(self, path: Path, *, name: str) -> str:
        self._happen("upload", self.before)
        file_id = f"f{len(self.files)}"
        self.files[file_id] = await asyncio.to_thread(path.read_bytes)
        self._happen("upload", self.after)
        return file_id

    async def create(self, file_id: str, request_file: RequestFile, *, window: str) -> BatchState:
        self._happen("create", self.before)
        self.windows.append(window)
        batch_id = f"b{len(self.batches)}"
        state = BatchState(batch_id, BatchStatus.VALIDATING, 0, 0, 0)
        self.batches[batch_id] = (request_file.sha256, state)
        self._happen("create", self.after)
        return state

    async def state(self, batch_id: str) -> BatchState:
        self._happen("state", self.before)
        return self.batches[batch_id][1]

    async def download(self, file_id: str, path: Path) -> None:
        self._happen("download", self.before)
        await asyncio.to_thread(path.write_bytes, self.files[file_id])

    def become(self, status: BatchStatus, **told: Any) -> None:
        """Move every batch on."""
        for batch_id, (digest, state) in self.batches.items():
            self.batches[batch_id] = digest, replace(state, status=status, **told)

    def _happen(self, name: str, script: dict[str, list[BaseException | None]]) -> None:
        if script is self.before:
            self.calls.append(name)
        waiting = script.get(name)
        error = waiting.pop(0) if waiting else None
        if error is not None:
            raise error


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return exported(tmp_path, settings_for("http://127.0.0.1:9/v1"))


def exported(tmp_path: Path, told: Settings, *, pairs: int = 5, max_requests: int = 6) -> Path:
    """A folder of two files, unless told otherwise."""
    limited = told.batching.model_copy(update={"max_requests": max_requests})
    judge.batch_export(
        write_pairs(tmp_path / "pairs.jsonl", pairs),
        tmp_path / "batch",
        settings=told.model_copy(update={"batching": limited}),
        ledger=tmp_path / "l.db",
    )
    return tmp_path / "batch"


def outputs(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("output-*"))


def opened(folder: Path, server: FakeServer, **endpoint: Any) -> BatchFolder:
    told = settings_for("http://127.0.0.1:9/v1")
    return BatchFolder(folder, {"default": server}, told.model_copy(update=endpoint))


async def test_every_file_is_uploaded_and_made_a_batch_once(folder: Path) -> None:
    server = FakeServer()
    first = await opened(folder, server).submit()
    assert [(state.is_new, state.file.requests) for state in first.files] == [(True, 6), (True, 4)]
    again = await opened(folder, server).submit()
    assert [state.is_new for state in again.files] == [False, False]
    assert (len(server.files), len(server.batches)) == (2, 2)
    assert server.windows == ["24h", "24h"]


@pytest.mark.parametrize("step", ["upload", "create"])
@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize("file", [0, 1])
async def test_a_kill_at_any_step_makes_no_batch_twice_and_loses_none(
    folder: Path, step: str, is_done: bool, file: int
) -> None:
    server = FakeServer()
    script = server.after if is_done else server.before
    script[step] = [None] * file + [Killed()]
    with pytest.raises(Killed):
        await opened(folder, server).submit()
    state = await opened(folder, server).submit()
    assert len(server.batches) == 2
    assert len({digest for digest, _ in server.batches.values()}) == 2
    assert all(each.batch is not None for each in state.files)
    known = read_submissions(folder).files
    assert {each.batch_id for each in known.values()} == set(server.batches)


@in_virtual_time
async def test_a_lost_answer_to_create_makes_no_second_batch(folder: Path) -> None:
    server = FakeServer(after={"create": [TransientError("lost", kind="reset")]})
    await opened(folder, server).submit()
    assert len(server.batches) == 2


async def test_losing_the_notes_of_what_was_submitted_submits_nothing_again(folder: Path) -> None:
    server = FakeServer()
    await opened(folder, server).submit()
    await asyncio.to_thread((folder / "submissions.json").unlink)
    state = await opened(folder, server).submit()
    assert [each.is_new for each in state.files] == [False, False]
    assert len(server.batches) == 2


async def test_a_refused_file_is_submitted_again_and_an_expired_one_is_not(folder: Path) -> None:
    server = FakeServer()
    await opened(folder, server).submit()
    server.become(BatchStatus.EXPIRED)
    await opened(folder, server).submit()
    assert len(server.batches) == 2
    server.become(BatchStatus.FAILED)
    state = await opened(folder, server).submit()
    assert [each.is_new for each in state.files] == [True, True]
    assert len(server.batches) == 4


async def test_a_file_that_was_changed_is_not_submitted(folder: Path) -> None:
    server = FakeServer()
    with (folder / "requests-0002.jsonl").open("a") as file:
        file.write("{}\n")
    with pytest.raises(InputError, match="is not what was exported"):
        await opened(folder, server).submit()
    assert server.calls == []


async def test_another_address_than_it_was_submitted_to_is_refused(folder: Path) -> None:
    server = FakeServer()
    await opened(folder, server).submit()
    other = settings_for("http://127.0.0.1:10/v1").endpoints
    with pytest.raises(ConfigError, match=r"was submitted to http://127\.0\.0\.1:9/v1"):
        await opened(folder, server, endpoints=other).submit()
    assert len(server.batches) == 2


async def test_a_folder_without_a_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no manifest\.json"):
        opened(tmp_path, FakeServer())
    (tmp_path / "manifest.json").write_text('{"format": "batch/9"}')
    with pytest.raises(InputError, match=r"manifest\.json: format"):
        opened(tmp_path, FakeServer())


async def test_fetching_downloads_each_file_once_and_again_where_it_is_gone(folder: Path) -> None:
    server = FakeServer()
    await opened(folder, server).submit()
    state = await opened(folder, server).fetch()
    assert (state.is_over, state.has_output) == (False, False)
    server.files |= {"out": b"one\n", "err": b"two\n"}
    server.become(BatchStatus.COMPLETED, file_ids=("out", "err"))
    state = await opened(folder, server).fetch()
    assert (state.is_over, state.has_output) == (True, True)
    names = outputs(folder)
    assert len(names) == 4
    server.calls.clear()
    await opened(folder, server).fetch()
    assert "download" not in server.calls
    (folder / names[0]).unlink()
    await opened(folder, server).fetch()
    assert server.calls.count("download") == 1
    assert outputs(folder) == names


# ----------------------------------------------------------------------------------------------
# patience


@in_virtual_time
async def test_trouble_that_may_pass_is_met_with_patience_and_with_an_end() -> None:
    sends = 0

    async def send(error: EndpointError, until: int) -> str:
        nonlocal sends
        sends += 1
        if sends < until:
            raise error
        return "done"

    assert await patiently(lambda: send(TransientError("500"), 3)) == "done"
    began, sends = asyncio.get_running_loop().time(), 0
    assert await patiently(lambda: send(ThrottledError("429", 7.0), 2)) == "done"
    assert asyncio.get_running_loop().time() - began >= 7.0
    for error, expected in (
        (TransientError("500"), ATTEMPTS),
        (ThrottledError("429", 3600.0), 1),
        (UnreachableError("nobody"), 1),
        (AccountError("401"), 1),
    ):
        sends = 0
        with pytest.raises(type(error)):
            await patiently(lambda error=error: send(error, 99))  # type: ignore[misc]
        assert sends == expected


# ----------------------------------------------------------------------------------------------
# the wire


def client(base_url: str, *, key: str | None = None, **more: Any) -> OpenAIBatches:
    endpoint = Endpoint(base_url=base_url, timeout_s=2.0, **more)
    return OpenAIBatches("main", endpoint, SecretStr(key) if key else None)


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (failure(401, "invalid_api_key"), AccountError, "check the key in the variable"),
        (failure(404, "unknown_url"), AccountError, "without the files and batches API"),
        (failure(400, "bad"), ItemError, "it says 400"),
        (failure(429, "slow", Retry_After="3"), ThrottledError, "it says 429"),
        (failure(500), TransientError, "HTTP 500"),
        (Scripted(is_hanging=True), TransientError, "no answer within timeout_s"),
        (Scripted(is_reset=True), TransientError, "connection lost"),
        (failure(302, Location="http://127.0.0.1:1/elsewhere"), AccountError, "set base_url to"),
    ],
)
async def test_foreign_errors_become_ours(answer: Scripted, error: Any, said: str) -> None:
    async with scripted_server([answer], answer) as server:
        endpoint = Endpoint(base_url=server.base_url, timeout_s=0.3)
        async with OpenAIBatches("main", endpoint, None) as batches:
            with pytest.raises(error, match=said) as told:
                await batches.state("b1")
        assert len(server.others) == 1  # the SDK retries nothing
    if isinstance(told.value, ThrottledError):
        assert told.value.retry_after_s == 3.0


async def test_an_address_where_nothing_answers_is_told_apart() -> None:
    async with client("http://127.0.0.1:9/v1") as batches:
        with pytest.raises(UnreachableError, match="start the server, or check base_url"):
            await batches.state("b1")


async def test_the_key_goes_only_where_it_belongs_and_is_never_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin-from-the-environment")
    quoting = Scripted(400, b'{"error": {"message": "no such thing as sk-very-secret"}}')
    async with scripted_server([quoting], quoting) as server:
        async with client(server.base_url) as keyless:
            with pytest.raises(ItemError):
                await keyless.find("0")
        async with client(server.base_url, headers={"X-Team": "a"}, key="sk-very-secret") as keyed:
            with pytest.raises(ItemError, match=r"no such thing as \[key\]"):
                await keyed.state("b1")
        first, second = server.others
    assert "authorization" not in first.headers
    assert second.headers["authorization"] == "Bearer sk-very-secret"
    assert second.headers["x-team"] == "a"


def test_a_model_in_this_process_has_no_address_to_submit_to() -> None:
    with pytest.raises(ConfigError, match="run the files through the engine itself"):
        OpenAIBatches("box", Endpoint(engine="vllm"), None)


# ----------------------------------------------------------------------------------------------
# the whole way, against the simulated provider


@asynccontextmanager
async def provider(**settings: Any) -> AsyncIterator[Simulator]:
    async with running_simulator(SimulatorSettings(**settings)) as simulator:
        yield simulator


async def over(folder: Path, told: Settings) -> None:
    """Wait until all batches of a folder are over."""
    async with asyncio.timeout(20):
        while not (await judge.abatch_status(folder, settings=told, environ={})).is_over:  # noqa: ASYNC110 - there is nothing but to ask
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "prompt", ["pair-tie", "verdict", "pair-json", "pair-grades", "pair-ratings"]
)
async def test_a_batch_ends_like_a_direct_run(tmp_path: Path, prompt: str) -> None:
    criteria = "quality" if prompt == "pair-ratings" else None
    asked = Judge(model=MODEL, prompt=prompt, criteria=criteria, max_tokens=300)
    async with provider(reply_words=5, seed=4) as simulator:
        told = settings_for(simulator.base_url, asked)
        folder = await asyncio.to_thread(exported, tmp_path, told)
        state, found = await judge.abatch_fetch(folder, settings=told, ledger=tmp_path / "l.db")
        assert (state.is_over, found) == (False, None)
        await judge.abatch_submit(folder, settings=told)
        await over(folder, told)
        state, found = await judge.abatch_fetch(folder, settings=told, ledger=tmp_path / "l.db")
        assert found is not None
        assert (found.new, found.missing, found.foreign.count, found.wanted) == (10, 0, 0, 0)
        again = (await judge.abatch_fetch(folder, settings=told, ledger=tmp_path / "l.db"))[1]
        assert again is not None
        assert (again.new, again.stored_before) == (0, 10)
        batched = simulator.stats
        direct = await judge.arun(
            tmp_path / "pairs.jsonl", settings=told, ledger=tmp_path / "direct.db"
        )
        assert simulator.stats.unique_bodies == batched.unique_bodies == 10
    batch, alone = (facts(tmp_path / name) for name in ("l.db", "direct.db"))
    assert batch == alone
    assert any(row["verdict"] is not None for row in batch.values())
    assert direct.run_id == found.run_ids.pop()


def facts(ledger: Path) -> dict[str, dict[str, Any]]:
    """Return all that is known of each judgment but when and how fast it came."""
    told = {"created_at", "latency_s"}
    return {
        row["judgment_id"]: {name: row[name] for name in row.keys() - told} for row in rows(ledger)
    }


async def test_what_a_cascade_wants_next_is_exported_after_the_first_answers(
    tmp_path: Path,
) -> None:
    async with provider(reply_words=5, accuracy=0.6, shared_opinion=0.0) as simulator:
        told = settings_for(simulator.base_url).model_copy(
            update={
                "judges": (
                    Judge(model=MODEL, name="cheap", prompt="verdict", accept_above=0.9),
                    Judge(model=MODEL, name="strong", max_tokens=300),
                ),
                "run": Run(policy=PolicyName.CASCADE, rule=Rule.SOFT),
            }
        )
        folder = await asyncio.to_thread(exported, tmp_path, told)
        first = {file.judges.popitem()[0] for file in read_manifest(folder).files}
        assert first == {"cheap"}
        await judge.abatch_submit(folder, settings=told)
        await over(folder, told)
        _, found = await judge.abatch_fetch(folder, settings=told, ledger=tmp_path / "l.db")
        assert found is not None
        assert found.missing == 0
        assert found.wanted
        then = await asyncio.to_thread(
            judge.batch_export, tmp_path / "pairs.jsonl", tmp_path / "then",
            settings=told, ledger=tmp_path / "l.db",
        )  # fmt: skip
    assert {name for file in then.files for name in file.judges} == {"strong"}
    assert (then.requests, then.still_out) == (found.wanted, 0)


async def test_an_expired_batch_is_fetched_and_the_rest_submitted_anew(tmp_path: Path) -> None:
    async with provider(reply_words=5, batch_answered_share=0.5) as simulator:
        told = settings_for(simulator.base_url)
        folder = await asyncio.to_thread(exported, tmp_path, told, max_requests=10)
        await judge.abatch_submit(folder, settings=told)
        await over(folder, told)
        state, found = await judge.abatch_fetch(folder, settings=told, ledger=tmp_path / "l.db")
        assert state.files[0].batch is not None
        assert state.files[0].batch.status is BatchStatus.EXPIRED
        assert found is not None
        assert (found.new, found.pending.total(), found.missing) == (5, 5, 5)
        rest = await asyncio.to_thread(
            judge.batch_export, tmp_path / "pairs.jsonl", tmp_path / "rest",
            settings=told, ledger=tmp_path / "l.db",
        )  # fmt: skip
    assert (rest.requests, rest.still_out) == (5, 0)


async def test_rejected_and_failed_requests_come_back_in_the_error_file(tmp_path: Path) -> None:
    async with provider(reply_words=5, context_chars=10, server_error_rate=0.0) as simulator:
        told = settings_for(simulator.base_url)
        folder = await asyncio.to_thread(exported, tmp_path, told)
        await judge.abatch_submit(folder, settings=told)
        await over(folder, told)
        _, found = await judge.abatch_fetch(folder, settings=told, ledger=tmp_path / "l.db")
    assert found is not None
    assert found.statuses == {"failed": 10}
    assert "context_length_exceeded" in rows(tmp_path / "l.db")[0]["reason"]


async def test_a_long_list_of_other_batches_hides_none_of_ours(tmp_path: Path) -> None:
    async with provider() as simulator:
        told = settings_for(simulator.base_url)
        folder = await asyncio.to_thread(exported, tmp_path, told)
        state = await judge.abatch_submit(folder, settings=told)
        wanted = state.files[0].file
        async with client(simulator.base_url) as batches:
            other = wanted.model_copy(update={"sha256": "f" * 64})
            file_id = await batches.upload(folder / wanted.name, name="other.jsonl")
            for _ in range(120):
                await batches.create(file_id, other, window="24h")
            found = await batches.find(wanted.sha256)
            assert await batches.find("0" * 64) is None
    assert found is not None
    assert state.files[0].batch is not None
    assert found.batch_id == state.files[0].batch.batch_id


async def test_a_key_is_sent_to_the_provider(tmp_path: Path) -> None:
    async with provider(required_key="sk-the-right-key") as simulator:
        told = settings_for(simulator.base_url, api_key_env="MY_KEY")
        folder = await asyncio.to_thread(exported, tmp_path, told)
        with pytest.raises(ConfigError, match="MY_KEY is not set"):
            await judge.abatch_submit(folder, settings=told, environ={})
        with pytest.raises(AccountError, match="check the key"):
            await judge.abatch_submit(folder, settings=told, environ={"MY_KEY": "sk-wrong"})
        state = await judge.abatch_submit(
            folder, settings=told, environ={"MY_KEY": "sk-the-right-key"}
        )
    assert len(state.files) == 2
    notes = json.loads((folder / "submissions.json").read_text())
    assert "sk-" not in json.dumps(notes)


async def test_a_folder_for_an_endpoint_that_is_not_set_says_which(folder: Path) -> None:
    other = Settings(endpoints={"else": Endpoint(base_url="http://127.0.0.1:9/v1")})
    with pytest.raises(ConfigError, match='is for endpoint "default", which the settings lack'):
        await judge.abatch_submit(folder, settings=other)

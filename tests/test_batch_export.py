"""Batch files: what a run lacks as lines of requests, cut to what a provider takes."""

import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import judge
from judge.batches.exporting import Export
from judge.batches.manifest import read_manifest
from judge.errors import ConfigError, EvenhandError, InputError
from judge.settings.config import Batching, Endpoint, Judge, Settings
from judge.simulator.server import running_simulator
from judge.simulator.settings import SimulatorSettings
from tests.fakes import completion, failure, rows, scripted_server, settings_for, write_pairs

NOWHERE = "http://127.0.0.1:9/v1"


def settings(*judges: Judge, **batching: int) -> Settings:
    told = settings_for(NOWHERE)
    return told.model_copy(
        update={"judges": judges or told.judges, "batching": Batching(**batching)}
    )


def export(folder: Path, told: Settings | None = None, **more: Any) -> Export:
    source = folder / "pairs.jsonl"
    pairs = source if source.exists() else write_pairs(source, 6)
    out = more.pop("out", folder / "batch")
    return judge.batch_export(
        pairs, out, settings=told or settings(), ledger=folder / "l.db", **more
    )


def lines(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for file in sorted(folder.glob("requests-*.jsonl"))
        for line in file.read_text().splitlines()
    ]


async def test_the_bodies_are_exactly_those_that_a_run_sends(tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs.jsonl", 4)
    asked = Judge(model="a-judge", temperature=0.5, seed=3, max_tokens=70)
    async with scripted_server([completion()]) as server:
        endpoint = Endpoint(
            base_url=server.base_url,
            max_tokens_field="max_completion_tokens",
            extra_body={"service_tier": "flex"},
        )
        told = Settings(endpoints={"default": endpoint}, judges=(asked,))
        result = await judge.arun(pairs, settings=told, ledger=tmp_path / "direct.db")
        sent = [chat.body for chat in server.chats]
    done = export(tmp_path, told)
    written = lines(tmp_path / "batch")
    assert done.run_id == result.run_id
    assert {line["method"] + line["url"] for line in written} == {"POST/v1/chat/completions"}
    assert {line["custom_id"] for line in written} == {
        row["judgment_id"] for row in rows(tmp_path / "direct.db")
    }
    as_text = [json.dumps(body, sort_keys=True) for body in sent]
    assert sorted(as_text) == sorted(json.dumps(line["body"], sort_keys=True) for line in written)


async def test_only_what_the_run_lacks_is_written(tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs.jsonl", 6)
    async with running_simulator(SimulatorSettings()) as simulator:
        told = settings_for(simulator.base_url)
        first = await judge.arun(pairs, settings=told, ledger=tmp_path / "l.db", limit=2)
    assert first.progress.judged == 4
    done = export(tmp_path, told)
    assert (done.requests, done.stored) == (8, 4)
    stored = {row["judgment_id"] for row in rows(tmp_path / "l.db")}
    assert stored.isdisjoint(line["custom_id"] for line in lines(tmp_path / "batch"))


async def test_a_finished_run_writes_no_folder(tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs.jsonl", 2)
    async with running_simulator(SimulatorSettings()) as simulator:
        told = settings_for(simulator.base_url)
        await judge.arun(pairs, settings=told, ledger=tmp_path / "l.db")
    done = export(tmp_path, told)
    assert (done.folder, done.requests, done.stored) == (None, 0, 4)
    assert not (tmp_path / "batch").exists()


def test_every_file_keeps_both_limits_and_the_manifest_tells_it_whole(tmp_path: Path) -> None:
    done = export(tmp_path, settings(max_requests=5))
    assert [file.requests for file in done.files] == [5, 5, 2]
    biggest = max(len(json.dumps(line)) for line in lines(tmp_path / "batch"))
    limit = 3 * biggest
    small = export(tmp_path, settings(max_bytes=limit), out=tmp_path / "small")
    assert len(small.files) > 3
    manifest = read_manifest(tmp_path / "small")
    assert manifest.files == small.files
    for file in manifest.files:
        content = (tmp_path / "small" / file.name).read_bytes()
        assert len(content) == file.bytes <= limit
        assert sha256(content).hexdigest() == file.sha256
        assert content.count(b"\n") == file.requests
    assert len({line["custom_id"] for line in lines(tmp_path / "small")}) == 12


def test_a_request_longer_than_a_file_stays_pending_and_is_counted(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs.jsonl", 2)
    long = {"pair_id": "long", "prompt": "Q?", "first": "x" * 5000, "second": "y"}
    with (tmp_path / "pairs.jsonl").open("a") as file:
        file.write(json.dumps(long) + "\n")
    done = export(tmp_path, settings(max_bytes=4000))
    assert (done.requests, done.too_long) == (4, 2)
    again = export(tmp_path, settings(), out=tmp_path / "again")
    assert again.requests == 6


def test_two_models_go_into_two_files_and_two_judges_of_one_model_into_one(
    tmp_path: Path,
) -> None:
    judges = (
        Judge(model="big", max_tokens=90),
        Judge(model="big", name="warm", temperature=0.7, max_tokens=90),
        Judge(model="small", max_tokens=90),
    )
    done = export(tmp_path, settings(*judges))
    assert {file.model: file.judges for file in done.files} == {
        "big": {"big": 12, "warm": 12},
        "small": {"small": 12},
    }
    for file in done.files:
        bodies = [
            json.loads(line)["body"]
            for line in (tmp_path / "batch" / file.name).read_text().splitlines()
        ]
        assert {body["model"] for body in bodies} == {file.model}


def test_a_pair_that_no_template_can_show_is_stored_as_failed(tmp_path: Path) -> None:
    told = settings(Judge(model="a-judge", prompt="pair-reference", max_tokens=100))
    done = export(tmp_path, told)
    assert (done.requests, done.unaskable, done.folder) == (0, 12, None)
    stored = rows(tmp_path / "l.db")
    assert {(row["status"], row["attempts"], row["run_id"]) for row in stored} == {
        ("failed", 0, done.run_id)
    }


async def test_what_was_cut_before_is_asked_again_with_twice_the_room(tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs.jsonl", 1)
    async with scripted_server([completion("I thi", "length")]) as server:
        told = settings_for(server.base_url)
        await judge.arun(pairs, settings=told, ledger=tmp_path / "l.db")
    assert export(tmp_path, told).requests == 0
    again = export(tmp_path, told, retry=["truncated"])
    assert again.requests == 2
    assert {line["body"]["max_tokens"] for line in lines(tmp_path / "batch")} == {200}


async def test_what_ended_otherwise_is_asked_again_as_it_was(tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs.jsonl", 1)
    async with scripted_server([completion("I cannot say.")]) as server:
        told = settings_for(server.base_url)
        await judge.arun(pairs, settings=told, ledger=tmp_path / "l.db")
    export(tmp_path, told, retry=["unparsed"])
    written = lines(tmp_path / "batch")
    assert {line["body"]["max_tokens"] for line in written} == {100}
    assert {row["judgment_id"] for row in rows(tmp_path / "l.db")}.isdisjoint(
        line["custom_id"] for line in written
    )


def test_exporting_again_says_what_an_earlier_export_still_holds(tmp_path: Path) -> None:
    assert export(tmp_path).still_out == 0
    again = export(tmp_path, out=tmp_path / "again")
    assert (again.requests, again.still_out) == (12, 12)


def test_a_folder_that_holds_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "batch").mkdir()
    kept = tmp_path / "batch" / "mine.txt"
    kept.write_text("mine")
    with pytest.raises(ConfigError, match="not an empty folder; nothing was written"):
        export(tmp_path)
    assert kept.read_text() == "mine"
    assert not (tmp_path / "l.db").exists()


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "batch").mkdir()
    assert export(tmp_path).requests == 12
    assert (tmp_path / "batch" / "manifest.json").exists()


def test_prompts_are_refused_with_what_to_do_first(tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text('{"prompt": "Which tea?"}\n')
    with pytest.raises(InputError, match="generate candidates for them first"):
        export(tmp_path)
    assert not (tmp_path / "batch").exists()


def test_an_export_that_fails_leaves_neither_a_folder_nor_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EvenhandError, match="cannot be written"):
        export(tmp_path)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir() if "batch" in path.name] == []
    assert rows(tmp_path / "l.db", "batch_asks") == []
    assert rows(tmp_path / "l.db", "batch_exports") == []


def test_no_key_and_no_secret_stands_in_the_folder_or_the_ledger(tmp_path: Path) -> None:
    endpoint = Endpoint(
        base_url=NOWHERE, api_key_env="UNSET_KEY", headers={"X-Token": "sk-very-secret"}
    )
    told = Settings(endpoints={"default": endpoint}, judges=(Judge(model="m"),))
    export(tmp_path, told)  # the key's variable is not set: nothing is sent, so none is needed
    for path in (*tmp_path.rglob("*.json*"), tmp_path / "l.db"):
        assert b"very-secret" not in path.read_bytes()


def test_deleting_the_run_forgets_its_exports(tmp_path: Path) -> None:
    done = export(tmp_path)
    assert len(rows(tmp_path / "l.db", "batch_asks")) == 12
    judge.delete_run(done.run_id, ledger=tmp_path / "l.db")
    assert rows(tmp_path / "l.db", "batch_asks") == []
    assert rows(tmp_path / "l.db", "batch_exports") == []


def test_limits_beyond_what_providers_take_are_refused(tmp_path: Path) -> None:
    config = tmp_path / "judge.toml"
    config.write_text("[batching]\nmax_requests = 60_000\nmax_byte = 1\n")
    with pytest.raises(ConfigError) as told:
        judge.batch_export("pairs.jsonl", tmp_path / "out", config=config, environ={})
    assert '"batching.max_requests": Input should be less than or equal to 50000' in str(told.value)
    assert 'unknown key "batching.max_byte"; did you mean "max_bytes"?' in str(told.value)


async def test_one_failed_direct_ask_is_among_the_requests(tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs.jsonl", 1)
    async with scripted_server([completion(), failure(401)]) as server:
        told = settings_for(server.base_url, max_in_flight=1)
        result = await judge.arun(pairs, settings=told, ledger=tmp_path / "l.db")
    assert result.progress.pending == 1
    assert export(tmp_path, told).requests == 1

"""Whatever is wrong with an input or a machine: one clear line, and nothing stored is lost."""

import asyncio
import json
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from judge.api.label import arun
from judge.errors import AccountError, ConfigError, EvenhandError, InputError, LedgerError
from judge.job.pipeline import RunResult
from judge.ledger.facts import whole_pairs
from judge.ledger.runs import find_run
from judge.ledger.store import Ledger
from judge.outcomes.labels import Rule
from judge.settings.config import Endpoint, Judge, Run, Settings
from judge.simulator.server import running_simulator
from judge.simulator.settings import MODEL, SimulatorSettings
from tests.fakes import Scripted, Sent, completion, rows, scripted_server

CANARY = "sk-canary-5f0e1d2c3b4a"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


def line(pair_id: str | None, first: str = "one", second: str = "two", **more: Any) -> bytes:
    row = {"prompt": f"Question {pair_id}?", "first": first, "second": second, **more}
    return json.dumps(row | ({"pair_id": pair_id} if pair_id else {})).encode()


def write(folder: Path, *lines: bytes, name: str = "pairs.jsonl") -> Path:
    path = folder / name
    path.write_bytes(b"".join(each + b"\n" for each in lines))
    return path


def told(base_url: str, **endpoint: Any) -> Settings:
    return Settings(
        endpoints={"default": Endpoint(base_url=base_url, **endpoint)},
        judges=(Judge(model=MODEL),),
        run=Run(rule=Rule.CONSERVATIVE),
    )


async def refused(
    pairs: Path, ledger: Path, kind: type[EvenhandError], **arguments: Any
) -> list[str]:
    """The lines of the error that a job ends with, before a request was sent."""
    async with running_simulator(SimulatorSettings()) as simulator:
        arguments.setdefault("settings", told(simulator.base_url))
        with pytest.raises(kind) as caught:
            await arun(pairs, ledger=ledger, environ={}, **arguments)
        assert simulator.stats.requests == 0
    return str(caught.value).splitlines()


async def judged(pairs: Path, ledger: Path, **arguments: Any) -> RunResult:
    async with running_simulator(SimulatorSettings()) as simulator:
        return await arun(
            pairs, settings=told(simulator.base_url), ledger=ledger, environ={}, **arguments
        )


def texts(ledger: Path) -> dict[str, tuple[str, str]]:
    """The answers of every labelled pair, as the ledger gives them back."""
    with Ledger(ledger, read_only=True) as reader:
        run = find_run(reader, "latest")
        keys = [judge.judge_key for judge in run.judges]
        return {
            pair.pair_id: (pair.first.text, pair.second.text)
            for pair, readings in whole_pairs(reader, run.run_id, keys)
            if len(readings) == 2
        }


def contents_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


BAD_LINES = {
    "broken": (b'{"prompt": "Q", "first": "a", "sec', "not JSON"),
    "not an object": (b'["Q", "a", "b"]', "holds a list"),
    "not UTF-8": (b'{"prompt": "caf\xe9", "first": "a", "second": "b"}', "not UTF-8 at byte 16"),
    "a raw NUL": (b'{"prompt": "Q\x00", "first": "a", "second": "b"}', "NUL byte at byte 14"),
    "a written NUL": (line("n", "x\0y"), 'NUL character in "first"; remove it'),
    "half a character": (
        b'{"prompt": "Q", "first": "\\ud83d", "second": "b"}',
        'lone surrogate \\ud83d in "first", half a character; remove it',
    ),
    "half a character in the id": (
        b'{"pair_id": "\\udc00", "prompt": "Q", "first": "a", "second": "b"}',
        'lone surrogate \\udc00 in "pair_id"',
    ),
    "a field is missing": (b'{"prompt": "Q", "first": "a"}', 'field "second": missing'),
    "a field is unknown": (
        b'{"prompt": "Q", "first": "a", "secnd": "b"}',
        'unknown field "secnd"; did you mean "second"?',
    ),
    "an empty question": (b'{"prompt": "", "first": "a", "second": "b"}', '"prompt": empty'),
    "the id again with other answers": (line("p1", "three", "four"), "known with another content"),
    "the id again the other way round": (line("p1", "two", "one"), "two answers exchanged"),
    "NaN": (b'{"prompt": "Q", "first": "a", "second": "b", "tags": {"x": NaN}}', "NaN"),
}


@pytest.mark.parametrize("kind", BAD_LINES)
async def test_a_bad_line_is_named_before_anything_is_asked_and_can_be_left_out(
    tmp_path: Path, ledger: Path, kind: str
) -> None:
    bad, why = BAD_LINES[kind]
    pairs = write(tmp_path, line("p1"), bad, line("p2"))
    problem, remedy = await refused(pairs, ledger, InputError)
    assert problem.startswith(f"{pairs}:2: ")
    assert why in problem
    assert len(problem) < 400
    assert remedy == "nothing was asked; mend the lines, or leave them out with --skip-bad-lines"
    result = await judged(pairs, ledger, skip_bad_lines=True)
    assert result.exit_code == 0
    assert result.intake.bad_lines == [problem]
    assert texts(ledger) == {"p1": ("one", "two"), "p2": ("one", "two")}


async def test_every_bad_line_of_a_file_is_left_out_and_all_others_are_labelled(
    tmp_path: Path, ledger: Path
) -> None:
    bad = [each for each, _ in BAD_LINES.values()]
    good = [line(f"g{n}") for n in range(len(bad))]
    mixed = [each for both in zip(good, bad, strict=True) for each in both]
    result = await judged(write(tmp_path, line("p1"), *mixed), ledger, skip_bad_lines=True)
    assert result.intake.n_bad_lines == len(bad)
    assert set(texts(ledger)) == {"p1", *(f"g{n}" for n in range(len(bad)))}


async def test_bad_input_leaves_an_earlier_run_as_it_was(tmp_path: Path, ledger: Path) -> None:
    first = await judged(write(tmp_path, line("p1")), ledger)
    before = rows(ledger), rows(ledger, "pairs"), rows(ledger, "contents")
    for bad, _ in BAD_LINES.values():
        await refused(write(tmp_path, line("new"), bad, name="bad.jsonl"), ledger, InputError)
    await refused(write(tmp_path, line("p1", "three"), name="bad.jsonl"), ledger, InputError)
    await refused(write(tmp_path, line("p1", "two", "one"), name="b"), ledger, InputError)
    assert (rows(ledger), rows(ledger, "pairs"), rows(ledger, "contents")) == before
    with Ledger(ledger, read_only=True) as reader:
        assert find_run(reader, "latest").run_id == first.run_id


async def test_odd_answers_are_warned_about_and_judged_as_they_are(
    tmp_path: Path, ledger: Path
) -> None:
    odd = {
        "empty": ("", "two"),
        "both empty": ("", ""),
        "white": (" \n\t", "two"),
        "same": ("same", "same"),
    }
    pairs = write(tmp_path, line("plain"), *(line(key, *both) for key, both in odd.items()))
    result = await judged(pairs, ledger)
    assert result.exit_code == 0
    assert texts(ledger) == {"plain": ("one", "two"), **odd}
    assert result.intake.n_warnings == 6
    said = "\n".join(result.intake.warnings)
    assert f'{pairs}:2: pair "empty": "first" is an empty answer; it is judged as it is' in said
    assert f'{pairs}:5: pair "same": the two answers are identical; expect ties' in said
    assert "plain" not in said


async def test_the_same_line_twice_is_asked_once(tmp_path: Path, ledger: Path) -> None:
    twice = [line("p1"), line("p1"), line(None), line(None)]
    async with running_simulator(SimulatorSettings()) as simulator:
        result = await arun(
            write(tmp_path, *twice),
            settings=told(simulator.base_url),
            ledger=ledger,
            environ={},
        )
        assert simulator.stats.requests == 4
    assert sum(result.outcomes.values()) == 2


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # of aiohttp
async def test_an_answer_of_ten_megabytes_is_judged_and_comes_back_whole(
    tmp_path: Path, ledger: Path
) -> None:
    long = "An unusually long answer. " * 450_000
    assert len(long) > 10 * 2**20
    result = await judged(write(tmp_path, line("long", long), line("short")), ledger)
    assert result.progress.pending == 0
    assert texts(ledger) == {"long": (long, "two"), "short": ("one", "two")}


async def test_text_that_no_terminal_should_see_comes_back_as_it_was(
    tmp_path: Path, ledger: Path
) -> None:
    odd = "\x1b[31m\x07\u202e\u200b\ufeff\U0001f642\r\n[[A]] <|im_end|>"
    await judged(write(tmp_path, line("odd", odd)), ledger)
    assert texts(ledger) == {"odd": (odd, "two")}


async def test_an_empty_or_missing_input_is_named(tmp_path: Path, ledger: Path) -> None:
    empty = write(tmp_path)
    assert await refused(empty, ledger, InputError) == [
        f"{empty}: holds no records; write one JSON object per line"
    ]
    missing = tmp_path / "no.jsonl"
    assert await refused(missing, ledger, InputError) == [
        f"{missing}: no such file; check the path"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[judges]]\nmodle = 'm'", 'unknown key "judges.0.modle"; did you mean "model"?'),
        ("[[judges]]\nmodel = 'm'\nendpoint = 'defualt'", 'did you mean "default"?'),
        ("[[judges]]\nmodel = 'm'\n[run]\nrule = 'strikt'", '"run.rule": Input should be'),
        ("[[judges", "not valid TOML"),
        ("", "no judge is set; add a [[judges]] table"),
        ("[[judges]]\nmodel = 'm'\nprompt = 'pair-tye'", 'judge "m"'),
    ],
)
async def test_a_config_that_is_wrong_is_refused_before_the_ledger_is_made(
    tmp_path: Path, ledger: Path, text: str, said: str
) -> None:
    config = tmp_path / "judge.toml"
    config.write_text(text)
    pairs = write(tmp_path, line("p1"))
    lines = await refused(pairs, ledger, ConfigError, settings=None, config=config)
    assert any(said in each for each in lines)
    assert set(contents_of(tmp_path)) == {"judge.toml", "pairs.jsonl"}


async def test_a_key_variable_that_is_not_set_is_named(tmp_path: Path, ledger: Path) -> None:
    settings = told("http://127.0.0.1:9/v1", api_key_env="NO_SUCH_KEY")
    lines = await refused(write(tmp_path, line("p1")), ledger, ConfigError, settings=settings)
    assert lines == [
        'endpoint "default": environment variable NO_SUCH_KEY is not set; '
        "export it, or remove api_key_env if the endpoint needs no key"
    ]


async def test_a_ledger_in_use_is_refused_and_the_job_beside_it_is_not_disturbed(
    tmp_path: Path, ledger: Path
) -> None:
    await judged(write(tmp_path, line("p1")), ledger)
    pairs = write(tmp_path, line("p2"), name="more.jsonl")
    with Ledger(ledger):
        (said,) = await refused(pairs, ledger, LedgerError)
        assert f"ledger {ledger} is in use by process " in said
    assert len(rows(ledger)) == 2
    assert (await judged(pairs, ledger)).exit_code == 0


def reply_with(text: str) -> Callable[[Sent], Scripted]:
    return lambda sent: completion(text)


@pytest.mark.parametrize(
    "text", ["\0[[A]]", "[[A]]\0", "\x1b[2J", "", "\u202e[[A]]", "a" * 100_000], ids=repr
)
async def test_any_reply_is_kept_as_it_came(tmp_path: Path, ledger: Path, text: str) -> None:
    async with scripted_server(reply_with(text)) as server:
        result = await arun(
            write(tmp_path, line("p1")), settings=told(server.base_url), ledger=ledger, environ={}
        )
    assert result.progress.pending == 0
    assert [row["reply"] for row in rows(ledger)] == [text, text]
    assert {row["status"] for row in rows(ledger)} == {"unparsed"}


@pytest.mark.parametrize("accepted", [CANARY, "sk-another"])
async def test_a_key_is_sent_and_never_written_or_said(
    tmp_path: Path, ledger: Path, capsys: pytest.CaptureFixture[str], accepted: str
) -> None:
    pairs = write(tmp_path, *(line(f"p{n}") for n in range(4)))
    environ = {"MY_KEY": CANARY}
    messages: list[str] = []
    async with running_simulator(SimulatorSettings(required_key=accepted)) as simulator:
        settings = told(simulator.base_url, api_key_env="MY_KEY", headers={"x-second-key": CANARY})
        # While a reader has it open, the write-ahead log stays beside the ledger.
        with Ledger(ledger), Ledger(ledger, read_only=True):
            pass
        result = await arun(pairs, settings=settings, ledger=ledger, environ=environ)
        with Ledger(ledger) as writer:
            run = find_run(writer, result.run_id)
            files = contents_of(tmp_path)
    if accepted == CANARY:
        assert result.exit_code == 0
    else:
        assert result.exit_code == 5
        assert isinstance(result.cause, AccountError)
        assert "401" in str(result.cause)
        assert "api_key_env" in str(result.cause)
        messages += traceback.format_exception(result.cause)
    messages += [repr(settings), repr(result), repr(run), str(result.cause)]
    messages += [result.progress.last_problem, *capsys.readouterr()]
    assert {"x.db", "x.db.lock", "x.db-wal"} <= set(files)
    assert len(files["x.db"]) > 4096
    for name, content in files.items():
        assert CANARY.encode() not in content, name
    for message in messages:
        assert CANARY not in message


async def test_an_endpoint_that_repeats_the_key_in_its_error_does_not_get_it_stored(
    tmp_path: Path, ledger: Path
) -> None:
    def echo(sent: Sent) -> Scripted:
        said = f"bad key: {sent.headers['authorization']}"
        return Scripted(401, json.dumps({"error": {"message": said}}).encode())

    async with scripted_server(echo) as server:
        result = await arun(
            write(tmp_path, line("p1"), line("p2"), line("p3")),
            settings=told(server.base_url, api_key_env="MY_KEY"),
            ledger=ledger,
            environ={"MY_KEY": CANARY},
        )
    assert isinstance(result.cause, AccountError)
    assert CANARY not in "".join(traceback.format_exception(result.cause))
    assert CANARY not in repr(result)
    for name, content in contents_of(tmp_path).items():
        assert CANARY.encode() not in content, name


JOB = """
import sys
from pathlib import Path
from judge.api.label import run
from judge.settings.config import Endpoint, Judge, Settings
from judge.errors import EvenhandError
pairs, ledger, url = sys.argv[1:]
settings = Settings(
    endpoints={"default": Endpoint(base_url=url, max_in_flight=8)},
    judges=(Judge(model="simulated-judge"),),
)
try:
    result = run(pairs, settings=settings, ledger=ledger, environ={})
except EvenhandError as error:
    print(type(error).__name__, error)
    sys.exit(error.exit_code)
print("done", result.progress.judged)
sys.exit(result.exit_code)
"""


async def test_a_disk_that_fills_up_ends_the_job_and_the_same_command_finishes_it(
    tmp_path: Path,
) -> None:
    pairs = write(tmp_path, *(line(f"p{n}", "one " * 50, "two " * 50) for n in range(400)))
    slow = SimulatorSettings(reply_words=400)
    with _small_disk(tmp_path / "disk") as disk:
        ledger = disk / "x.db"
        async with running_simulator(slow) as simulator:
            code, said = await _run_job(pairs, ledger, simulator.base_url)
            assert code == 2, said
            assert said == (
                f"LedgerError ledger {ledger}: database or disk is full; free space on that disk "
                "and run the same command again: what was stored is kept"
            )
            asked = simulator.stats.requests
            stored = {row["judgment_id"]: row["reply"] for row in rows(ledger)}
            assert 0 < len(stored) <= asked < 800
            (disk / "ballast").unlink()
            code, said = await _run_job(pairs, ledger, simulator.base_url)
            assert (code, said) == (0, f"done {800 - len(stored)}")
            assert simulator.stats.repeats == asked - len(stored) <= 2 * 8
        after = {row["judgment_id"]: row["reply"] for row in rows(ledger)}
        assert len(after) == 800
        assert stored.items() <= after.items()


async def _run_job(pairs: Path, ledger: Path, url: str) -> tuple[int, str]:
    """Run a job in a process of its own; return its exit code and the one line it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", JOB, str(pairs), str(ledger), url, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode().removesuffix("\n")


@contextmanager
def _small_disk(mount: Path) -> Iterator[Path]:
    """A disk of 16 MB, of which a file leaves 1.5 MB."""
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(mount)]
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command, so no small disk can be made")
    if made.returncode:
        pytest.skip(f"no small disk can be mounted here: {made.stderr.strip()}")
    try:
        (mount / "ballast").write_bytes(b"\0" * (29 * 2**19))
        yield mount
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)

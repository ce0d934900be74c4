"""The same tiny model behind vLLM's own server, as any OpenAI-compatible address."""

import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

import judge
from judge.candidates.generators import Generator
from judge.candidates.pairing import PairingRules
from judge.settings.config import Endpoint, Judge, Settings
from tests.fakes import rows, write_pairs
from tests.integration.engine import CHOICE, REAL_ENGINE, prepare_environment, write_lines
from tests.integration.tiny_model import make_tiny_model

pytestmark = REAL_ENGINE
prepare_environment()

STARTS_WITHIN_S = 180.0


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of its own, which is stopped afterwards."""
    model = make_tiny_model(tmp_path_factory.mktemp("tiny"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # The command `vllm serve` needs metadata that builds for CPUs lack; this is what it runs.
    command = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server",
        "--model", str(model), "--served-model-name", "tiny",
        "--host", "127.0.0.1", "--port", str(port),
        "--max-model-len", "4096", "--gpu-memory-utilization", "0.1",
        "--enable-prompt-tokens-details",
    ]  # fmt: skip
    log = tmp_path_factory.mktemp("log") / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, env=dict(os.environ))
        try:
            _wait_for(f"http://127.0.0.1:{port}/health", server, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            server.wait(timeout=60)


def _wait_for(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except (URLError, OSError):
            time.sleep(0.5)
    pytest.fail(f"the server did not start:\n{log.read_text()[-3000:]}")


def settings_at(base_url: str, **more: Any) -> Settings:
    return Settings(
        endpoints={
            "writing": Endpoint(base_url=base_url, max_in_flight=16),
            "judging": Endpoint(base_url=base_url, max_in_flight=16, extra_body=CHOICE),
        },
        judges=(Judge(model="tiny", endpoint="judging", prompt="verdict", max_tokens=8),),
        **more,
    )


def test_prompts_are_answered_and_the_answers_judged(base_url: str, tmp_path: Path) -> None:
    prompts = write_lines(
        tmp_path / "prompts.jsonl",
        [json.dumps({"prompt": f"Write a poem about number {n}."}) for n in range(5)],
    )
    settings = settings_at(
        base_url,
        generators=(Generator(model="tiny", endpoint="writing", n=4, max_tokens=24),),
        pairing=PairingRules(keep_truncated=True),
    )

    result = judge.run(prompts, settings=settings, ledger=tmp_path / "x.db", environ={})

    judged = rows(tmp_path / "x.db")
    assert result.cause is None
    assert len(rows(tmp_path / "x.db", "generations")) == 20
    assert len(judged) == result.progress.total
    assert {row["verdict"] for row in judged} <= {"A", "B", "tie"}


def test_a_pair_too_long_for_the_model_fails_alone(base_url: str, tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs.jsonl", 6)
    long = {"pair_id": "long", "prompt": "Why? " * 4000, "first": "yes", "second": "no"}
    with pairs.open("a", encoding="utf-8") as file:
        file.write(json.dumps(long) + "\n")

    judge.run(pairs, settings=settings_at(base_url), ledger=tmp_path / "x.db", environ={})

    statuses = Counter(row["status"] for row in rows(tmp_path / "x.db"))
    assert statuses == {None: 12, "failed": 2}


def test_a_check_finds_the_model_and_its_token_probabilities(base_url: str, tmp_path: Path) -> None:
    overrides = {
        "endpoints.default.base_url": base_url,
        "endpoints.default.extra_body": CHOICE,
        "judges.0.model": "tiny",
        "judges.0.prompt": "verdict",
    }

    result = judge.check(overrides=overrides, ledger=tmp_path / "x.db", environ={})

    found = [step.found for step in result.steps]
    assert result.exit_code == 0, found
    assert any("model tiny is listed" in text for text in found)
    assert any("token probabilities: offered" in text for text in found)

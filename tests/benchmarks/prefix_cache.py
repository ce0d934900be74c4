"""How much of the prompts a local engine serves from its prefix cache, and how fast that makes it.

    python tests/benchmarks/prefix_cache.py [--model FOLDER] [--prompts N] [--max-tokens N] ...

Needs vLLM (make test-vllm makes .venv-vllm) and the data beside the repository. Without --model a
tiny random one is made, whose tokenizer is trained on the material: its figures of the cache are
real, those of its speed are those of a tiny model. With a GPU name a real one.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from judge.backends.vllm import VLLMChat, messages_of
from judge.chat import ChatRequest, Reply
from judge.job.ask_order import side_by_side
from judge.job.endpoints import LocalEngines
from judge.job.judging import Ask, resolve_judge
from judge.job.pipeline import JobInput, run_job
from judge.job.workers import run_workers
from judge.settings.config import Endpoint, Judge, Settings
from prompts.loader import load_prompt
from tests.benchmarks.figures import Figure, table
from tests.benchmarks.machine import description, scratch_folder
from tests.benchmarks.prefix_material import (
    DATA,
    SEED,
    Material,
    all_asks,
    material,
    requests_of,
    write_pairs,
)

CACHED_SHARE = 1 / 20
"""Of all prompt tokens, what the cache holds."""
EXTRA = {"structured_outputs": {"choice": ["A", "B", "C"]}}
"""So that a random model gives verdicts and no reply is asked for again."""
VOCABULARY = 8192
ENDPOINT = "engine"


@dataclass(frozen=True, slots=True)
class Served:
    """What the engine counted while it served something."""

    asks: int
    prompt_tokens: int
    cached_tokens: int
    seconds: float

    @property
    def cached_share(self) -> float:
        return self.cached_tokens / self.prompt_tokens


class Bench:
    """One engine, and what it is asked."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self.prompts = material(options.prompts)
        self.model = options.model or str(_tiny_model(folder / "tiny", self.prompts))
        self.judge = Judge(
            model=self.model, endpoint=ENDPOINT, prompt="verdict", max_tokens=options.max_tokens
        )
        self.asks = all_asks(self.prompts, resolve_judge(self.judge, Endpoint(engine="vllm")))
        lengths = self._prompt_lengths()
        self.tokens, self.longest = sum(lengths), max(lengths)

    def endpoint(self) -> Endpoint:
        """Return the engine's settings, with a cache for a twentieth of all prompt tokens."""
        block = self.options.block_size
        context = self.longest + 2 * self.options.max_tokens
        blocks = max(context // block + 2, round(self.tokens * CACHED_SHARE / block))
        print(
            f"{len(self.prompts)} prompts, {len(self.asks):,} asks, {self.tokens:,} prompt tokens; "
            f"cache of {blocks:,} blocks of {block} tokens, {blocks * block / self.tokens:.1%}",
            file=sys.stderr,
        )
        given: dict[str, Any] = {
            "block_size": block,
            "disable_log_stats": False,
            "max_model_len": context,
        }
        if not self.options.whole_cache:
            given["num_gpu_blocks_override"] = blocks
        given |= dict(pair.split("=", 1) for pair in self.options.option)
        return Endpoint(
            engine="vllm",
            options={key: _plain(value) for key, value in given.items()},
            extra_body={} if self.options.model else EXTRA,
            max_in_flight=self.options.in_flight,
        )

    def _prompt_lengths(self) -> list[int]:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(self.model)
        return [
            len(
                tokenizer.apply_chat_template(
                    messages_of(request), add_generation_prompt=True, return_dict=False
                )
            )
            for request in requests_of(self.asks)
        ]

    async def measure(self) -> list[Figure]:
        """Return the figures of every order, and the speed against a plain loop."""
        endpoint = self.endpoint()
        async with LocalEngines() as engines:
            chat: Any = await engines.chat(ENDPOINT, endpoint, self.model)
            shuffled = list(self.asks)
            random.Random(SEED).shuffle(shuffled)
            product = await self.job(engines, endpoint, chat, is_shuffled=False)
            stirred = await self.job(engines, endpoint, chat, is_shuffled=True)
            ordered = await served(chat, partial(self.pool, chat, side_by_side(self.asks)))
            by_pair = await served(chat, partial(self.pool, chat, self.asks))
            at_random = await served(chat, partial(self.pool, chat, shuffled))
            part = self.asks[: self.options.loop]
            plain = await served(chat, partial(loop, chat, part))
            pooled = await served(chat, partial(self.pool, chat, side_by_side(part)))
        ratio = (pooled.asks / pooled.seconds) / (plain.asks / plain.seconds)
        return [
            _share("the job, pairs by prompt", product, at_least=0.4),
            _share("the job, pairs shuffled in the input", stirred),
            _share("its order, asked directly", ordered),
            _share("pair by pair", by_pair),
            _share("random order", at_random),
            Figure(
                "prefix", "share of the job over that of random order",
                (product.cached_share / at_random.cached_share,), at_least=1.5,
            ),
            Figure("prefix", "the job", (product.asks / product.seconds,), "judgments/s"),
            Figure("prefix", "a plain loop", (plain.asks / plain.seconds,), "judgments/s"),
            Figure("prefix", "pool over plain loop, same asks", (ratio,), at_least=1.5),
        ]  # fmt: skip

    async def job(
        self, engines: LocalEngines, endpoint: Endpoint, chat: VLLMChat, *, is_shuffled: bool
    ) -> Served:
        """Return what the product's own job took: reading, asking, storing."""
        name = "shuffled" if is_shuffled else "by-prompt"
        pairs = write_pairs(self.folder / f"{name}.jsonl", self.prompts, shuffled=is_shuffled)
        settings = Settings(endpoints={ENDPOINT: endpoint}, judges=(self.judge,))

        async def run() -> int:
            result = await run_job(
                JobInput(str(pairs)), settings, self.folder / f"{name}.db",
                engines=engines, environ={},
            )  # fmt: skip
            if result.cause is not None:
                raise result.cause
            print(f"{name}: {result.outcomes}", file=sys.stderr)
            return result.progress.judged

        return await served(chat, run)

    async def pool(self, chat: VLLMChat, asks: Sequence[Ask]) -> int:
        """Ask everything in its order, as many at a time as the job would."""
        requests = requests_of(asks)

        async def page() -> Any:
            yield requests

        async def ask(request: ChatRequest) -> None:
            await chat.complete(request)

        await run_workers(page(), ask, concurrency=self.options.in_flight, stop=asyncio.Event())
        return len(requests)


async def loop(chat: VLLMChat, asks: Sequence[Ask]) -> int:
    """Ask one after the other, as a short script would."""
    replies: list[Reply] = [await chat.complete(request) for request in requests_of(asks)]
    return len(replies)


async def served(chat: Any, work: Any) -> Served:
    """Return what the engine counted during some work that begins with an empty cache."""
    engine = chat._engine._engine
    await engine.reset_prefix_cache()
    before, began = _counters(), time.perf_counter()
    asks = await work()
    seconds = time.perf_counter() - began
    await asyncio.sleep(0.5)  # the counters follow a step behind
    queries, hits = (after - was for after, was in zip(_counters(), before, strict=True))
    print(f"  {asks:,} asks in {seconds:.0f} s, {hits / queries:.1%} cached", file=sys.stderr)
    return Served(asks, queries, hits, seconds)


def _counters() -> tuple[int, int]:
    """Return the engine's own counts of prompt tokens looked up in its cache, and found."""
    from vllm.v1.metrics.reader import get_metrics_snapshot

    counts = {metric.name: getattr(metric, "value", 0) for metric in get_metrics_snapshot()}
    return counts["vllm:prefix_cache_queries"], counts["vllm:prefix_cache_hits"]


def _share(what: str, found: Served, *, at_least: float | None = None) -> Figure:
    return Figure(
        "prefix", f"prompt tokens from the cache: {what}", (found.cached_share,), at_least=at_least
    )


def _plain(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _tiny_model(folder: Path, prompts: Sequence[Material]) -> Path:
    from tests.integration.tiny_model import make_tiny_model

    texts = [text for prompt in prompts for text in (prompt.question, *prompt.answers)]
    template = load_prompt("verdict")
    texts += [template.system, template.user]
    return make_tiny_model(folder, texts=texts, vocabulary=VOCABULARY, context=16384)


def main() -> int:
    """Measure and print; 2 where the data is not there."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", help="a folder or a name; without it a tiny random model")
    parser.add_argument("--prompts", type=int, help="only a seeded sample of so many prompts")
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--max-tokens", type=int, default=2, help="room of a reply")
    parser.add_argument("--loop", type=int, default=300, help="asks of the plain loop")
    parser.add_argument("--block-size", type=int, default=128, help="tokens; GPUs mostly have 16")
    parser.add_argument("--whole-cache", action="store_true", help="as much as the engine takes")
    parser.add_argument(
        "--option", action="append", default=[], help="NAME=VALUE of an engine argument"
    )
    options = parser.parse_args()
    if not DATA.is_dir():
        print(f"{DATA} is not there: nothing to measure with", file=sys.stderr)
        return 2
    if options.model is None:
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        options.option = ["gpu_memory_utilization=0.1", *options.option]
    print(description())
    with scratch_folder() as folder:
        print(table(asyncio.run(Bench(options, folder).measure())))
    return 0


if __name__ == "__main__":
    sys.exit(main())

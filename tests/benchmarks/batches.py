"""How long a batch file of 50,000 requests takes to write, and its output to read back."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from pydantic_core import from_json, to_json

from tests.benchmarks.bench import Bench
from tests.benchmarks.figures import Figure
from tests.benchmarks.machine import ROOT, memory_mib, pin
from tests.benchmarks.material import write_pairs

ANSWER_CHARS = 900
"""Of each answer, so that 50,000 requests fit one file of 200 MB."""
REPLY = " ".join(["Assistant A explains the step, [1] and [2] agree, B leaves it out."] * 12)
QUICK = 500


def measure_batches(bench: Bench) -> list[Figure]:
    """Time and memory of exporting 50,000 requests, and of importing as many replies."""
    pairs = bench.size(25_000, QUICK)
    bench.say(f"batches: writing {pairs:,} pairs")
    path = _short_pairs(bench.folder, pairs)
    small = _short_pairs(bench.folder, pairs // 10, name="few.jsonl")
    bench.say(f"batches: exporting and importing {2 * pairs:,} requests")
    export, few = _run(bench, "export", path, "all"), _run(bench, "export", small, "few")
    for folder in ("all", "few"):
        _answer(bench.folder / folder)
    back, few_back = _run(bench, "import", path, "all"), _run(bench, "import", small, "few")
    again = _run(bench, "import", path, "all")
    megabytes = sum(f.stat().st_size for f in (bench.folder / "all").glob("requests*")) / 1e6
    return [
        Figure("batches", "requests", (export["count"],), at_least=2 * pairs),
        Figure("batches", "size of the file", (megabytes,), "MB"),
        Figure("batches", "export, intake of the pairs included", (export["wall_s"],), "s",
               at_most=30),
        Figure("batches", "CPU per request", (1000 * export["cpu_s"] / (2 * pairs),), "ms"),
        Figure("batches", "peak memory of the export", (export["peak_mib"],), "MiB"),
        Figure("batches", "more than for a tenth", (export["peak_mib"] - few["peak_mib"],), "MiB",
               at_most=32),
        Figure("batches", "judgments stored", (back["count"],), at_least=2 * pairs),
        Figure("batches", "import", (back["wall_s"],), "s", at_most=30),
        Figure("batches", "CPU per reply", (1000 * back["cpu_s"] / (2 * pairs),), "ms"),
        Figure("batches", "peak memory of the import", (back["peak_mib"],), "MiB"),
        Figure("batches", "more than for a tenth", (back["peak_mib"] - few_back["peak_mib"],),
               "MiB", at_most=32),
        Figure("batches", "import once more", (again["wall_s"],), "s"),
    ]  # fmt: skip


def _short_pairs(folder: Path, pairs: int, *, name: str = "pairs.jsonl") -> Path:
    """Return a file of pairs with shorter answers."""
    long = write_pairs(folder / f"long-{name}", pairs)
    path = folder / name
    with long.open("rb") as lines, path.open("wb") as file:
        for line in lines:
            pair = from_json(line)
            for side in ("first", "second"):
                pair[side] = pair[side][:ANSWER_CHARS]
            file.write(to_json(pair) + b"\n")
    long.unlink()
    return path


def _answer(folder: Path) -> None:
    """Write what a provider would send back: every line answered, the last first."""
    with (folder / "requests-0001.jsonl").open("rb") as file:
        ids = [line[14:46].decode() for line in file]
    with (folder / "output.jsonl").open("wb") as file:
        for number, custom_id in enumerate(reversed(ids)):
            message = {"role": "assistant", "content": f"{REPLY}\n\n[[{'AB'[number % 2]}]]"}
            body = {
                "id": f"chatcmpl-{number}",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 800, "completion_tokens": 200},
            }
            response = {"status_code": 200, "request_id": f"r{number}", "body": body}
            line = {"id": f"b{number}", "custom_id": custom_id, "response": response}
            file.write(to_json({**line, "error": None}) + b"\n")


def _run(bench: Bench, what: str, pairs: Path, folder: str) -> Mapping[str, float]:
    """Run one part in a process of its own and return what it took."""
    arguments = [what, str(pairs), str(bench.folder / folder), str(bench.cores.client)]
    command = [sys.executable, "-m", "tests.benchmarks.batches", *arguments]
    output = subprocess.run(
        command, cwd=ROOT, env=bench.environment(), check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    result: Mapping[str, float] = json.loads(output)
    return result


def _measured(what: str, pairs: str, folder: Path, core: str) -> Mapping[str, float]:
    import judge
    from judge.settings.config import Endpoint, Judge, Settings

    pin(0, None if core == "None" else int(core))
    settings = Settings(
        endpoints={"default": Endpoint(base_url="http://127.0.0.1:9/v1")},
        judges=(Judge(model="a-judge", max_tokens=1024),),
    )
    ledger = folder.with_suffix(".db")
    began_s, cpu_s = time.perf_counter(), time.process_time()
    if what == "export":
        count = judge.batch_export(pairs, folder, settings=settings, ledger=ledger).requests
    else:
        found = judge.batch_import(folder, ledger=ledger)
        count = found.new + found.stored_before
    return {
        "count": count,
        "wall_s": time.perf_counter() - began_s,
        "cpu_s": time.process_time() - cpu_s,
        "peak_mib": memory_mib("VmHWM") or 0.0,
    }


if __name__ == "__main__":
    print(json.dumps(_measured(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4])))

"""What the tests with a real engine share: how it is set up on a machine without a GPU."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

REAL_ENGINE = [
    pytest.mark.vllm,
    pytest.mark.skipif(
        find_spec("vllm") is None, reason="vLLM is not installed; make test-vllm installs it"
    ),
    # What vLLM and its libraries warn of among themselves is no business of ours.
    pytest.mark.filterwarnings("default"),
]
ON_A_CPU: dict[str, Any] = {
    "gpu_memory_utilization": 0.1,
    "distributed_executor_backend": "uni",
    "max_model_len": 4096,
}
CHOICE = {"structured_outputs": {"choice": ["A", "B", "C"]}}
"""Makes even a random model give a verdict, at an address as in this process."""


def prepare_environment() -> None:
    """Keep vLLM from the network and from most of the memory, unless told otherwise."""
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")


def write_lines(path: Path, lines: list[str]) -> Path:
    """Write lines to a file and return its path."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path

"""Write docs/tree.md: every file of the three packages with what it is for, from its docstring.

.venv/bin/python docs/tree.py
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "docs" / "tree.md"
PACKAGES = ("judge", "prompts", "calibration")
WIDTH = 118
NAMES = 32


def tree(root: Path = ROOT) -> str:
    """Return the page."""
    lines = [line for package in PACKAGES for line in _folder(root / package, depth=0)]
    return "\n".join(["# The tree, file by file", "", "```text", *lines, "```", ""])


def _folder(folder: Path, *, depth: int) -> Iterator[str]:
    init = folder / "__init__.py"
    yield _line(depth, f"{folder.name}/", _purpose(init) if init.exists() else "")
    for file in sorted(folder.glob("*.py")):
        if not file.name.startswith("__"):
            yield _line(depth + 1, file.name, _purpose(file))
    for inner in sorted(folder.iterdir()):
        if inner.is_dir() and any(inner.rglob("*.py")):
            yield from _folder(inner, depth=depth + 1)


def _purpose(file: Path) -> str:
    """The first sentence of a module's docstring."""
    told = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(told.split("\n\n")[0].split()).split(". ")[0].rstrip(".")


def _line(depth: int, name: str, purpose: str) -> str:
    start = f"{'  ' * depth}{name}"
    room = WIDTH - NAMES - 2
    shown = purpose if len(purpose) <= room else purpose[: room - 4].rsplit(" ", 1)[0] + " ..."
    return f"{start:<{NAMES}}  {shown}".rstrip()


if __name__ == "__main__":
    OUT.write_text(tree(), encoding="utf-8")

"""The page that says what every file is for."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_tree_names_every_file_as_it_is_now() -> None:
    tree = runpy.run_path(str(ROOT / "docs" / "tree.py"))["tree"]
    written = (ROOT / "docs" / "tree.md").read_text(encoding="utf-8")
    assert written == tree(), "run .venv/bin/python docs/tree.py"

"""The import law: who may import whom, no cycles, and one door for each outside dependency.

Imports inside functions count, and so do those for type checking only.
"""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {"judge": {"prompts", "calibration"}, "prompts": set(), "calibration": set()}
DOORS = {
    "openai": ("judge.backends.openai", "judge.backends.openai_batches"),
    "sqlalchemy": ("judge.ledger",),
    "aiohttp.web": ("judge.service", "judge.simulator"),
    "cyclopts": ("judge.cli",),
    "rich": ("judge.cli",),
}


def modules_under(root: Path) -> dict[str, Path]:
    """Every module of the three packages by its dotted name."""
    modules = {}
    for package in MAY_IMPORT:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


def imports_of(module: str, path: Path) -> Iterator[tuple[str, str | None]]:
    """What a file imports, as (module, name); the name is None for a plain `import module`."""
    is_package = path.name == "__init__.py"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from ((alias.name, None) for alias in names)
            case ast.ImportFrom(module=source, names=names, level=level):
                if level:
                    parents = module.split(".")[: None if is_package and level == 1 else -level]
                    source = ".".join([*parents, *([source] if source else [])])
                yield from ((source or "", alias.name) for alias in names)
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__")
                | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(source)), *_],
            ):
                yield source, None


def lies_in(module: str, home: str) -> bool:
    return module == home or module.startswith(f"{home}.")


def breaches(modules: Mapping[str, Path]) -> list[str]:
    """Each import that the law forbids, in words."""
    found = []
    for module, path in modules.items():
        package = module.partition(".")[0]
        for source, name in imports_of(module, path):
            imported = f"{source}.{name}" if name else source
            other = source.partition(".")[0]
            if other in MAY_IMPORT and other != package and other not in MAY_IMPORT[package]:
                found.append(f"{module} imports {imported}, another package")
            if other == "tests":
                found.append(f"{module} imports {imported}, which is not installed")
            if source == package and name and module != package:
                found.append(f"{module} imports {name} from {package}, not from where it lives")
            found += [
                f"{module} imports {imported} past the door {' or '.join(homes)}"
                for dependency, homes in DOORS.items()
                if lies_in(imported, dependency) and not any(lies_in(module, h) for h in homes)
            ]
    return found


def import_graph(modules: Mapping[str, Path]) -> dict[str, set[str]]:
    """Each module with those of ours that it imports; a name that is a module means that module."""
    graph = {}
    for module, path in modules.items():
        imported = {
            f"{source}.{name}" if f"{source}.{name}" in modules else source
            for source, name in imports_of(module, path)
        }
        graph[module] = (imported & modules.keys()) - {module}
    return graph


def test_every_import_obeys_the_law() -> None:
    assert breaches(modules_under(ROOT)) == []


def test_no_module_cycles() -> None:
    TopologicalSorter(import_graph(modules_under(ROOT))).prepare()


def test_all_three_packages_are_looked_at() -> None:
    modules = modules_under(ROOT)
    assert {"judge.records", "prompts.loader", "calibration"} <= modules.keys()
    assert "prompts.neutralise" in import_graph(modules)["prompts.template"]


# ----------------------------------------------------------------------------------------------
# the checker itself


def planted(root: Path, files: dict[str, str]) -> dict[str, Path]:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return modules_under(root)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("prompts/a.py", "import judge.records"),
        ("calibration/a.py", "def f():\n    from prompts import loader"),
        ("prompts/a.py", "from calibration.agreement import s1"),
        ("judge/a.py", "from judge import Pair"),
        ("judge/a.py", "from . import Pair"),
        ("judge/sub/a.py", "from .. import Pair"),
        ("judge/a.py", "from tests.fakes import Fake"),
        ("judge/a.py", "import openai"),
        ("judge/backends/vllm.py", "from openai.types import chat"),
        ("judge/a.py", "def f():\n    import sqlalchemy as sa"),
        ("judge/a.py", "from aiohttp import web"),
        ("judge/a.py", "from aiohttp.web import Response"),
        ("judge/ledger/a.py", "from rich.table import Table"),
        ("judge/a.py", "import importlib\nimportlib.import_module('cyclopts')"),
    ],
)
def test_a_planted_breach_is_found(tmp_path: Path, name: str, text: str) -> None:
    assert len(breaches(planted(tmp_path, {name: text}))) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("judge/__init__.py", "def f():\n    from judge.job.pipeline import run"),
        ("judge/a.py", "import aiohttp\nfrom prompts import load_prompt\nimport calibration.x"),
        ("judge/a.py", "from judge.records import Pair\nfrom .records import Vote"),
        ("judge/backends/openai.py", "import openai"),
        ("judge/ledger/schema.py", "from sqlalchemy import Table"),
        ("judge/simulator/server.py", "from aiohttp import web"),
        ("judge/cli/run.py", "import cyclopts, rich.table"),
    ],
)
def test_a_lawful_import_is_left_alone(tmp_path: Path, name: str, text: str) -> None:
    assert breaches(planted(tmp_path, {name: text})) == []


@pytest.mark.parametrize(
    "files",
    [
        {"judge/a.py": "import judge.b", "judge/b.py": "def f():\n    from judge.a import g"},
        {"judge/a.py": "from judge import b", "judge/b.py": "from . import a"},
        {"judge/__init__.py": "from judge.a import f", "judge/a.py": "from judge import g"},
    ],
)
def test_a_planted_cycle_is_found(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(CycleError):
        TopologicalSorter(import_graph(planted(tmp_path, files))).prepare()

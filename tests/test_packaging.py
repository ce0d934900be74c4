"""The wheel: what it holds, and that it works outside the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What the command prints; the test fails with its error output where it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr or done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = ("-m", "build", "--wheel", "--no-isolation", "--outdir", folder)
    run(sys.executable, *build, ROOT, cwd=folder)
    [path] = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as installed, outside the checkout and without its dependencies."""
    folder = tmp_path_factory.mktemp("site")
    options = ("--no-deps", "--no-index", "--quiet", "--target", folder)
    run(sys.executable, "-m", "pip", "install", *options, wheel, cwd=folder)
    return folder


def installed(site: Path, code: str, *arguments: str) -> str:
    """What the code prints where only the installed packages are ours."""
    return run(sys.executable, "-P", "-c", code, *arguments, cwd=site, PYTHONPATH=str(site))


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_the_three_packages_and_nothing_else(wheel: Path) -> None:
    top = {name.partition("/")[0] for name in names_in(wheel)}
    assert {name for name in top if not name.endswith(".dist-info")} == {
        "judge",
        "prompts",
        "calibration",
    }
    assert len(top) == 4


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    names = names_in(wheel)
    expected = {
        path.relative_to(ROOT).as_posix()
        for package in ("judge", "prompts", "calibration")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert expected - names == set()
    assert {"judge/py.typed", "prompts/py.typed", "calibration/py.typed"} <= names
    assert {"prompts/templates/pair.toml", "prompts/templates/pair-tie.toml"} <= names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_templates_load_from_the_installed_wheel(site: Path) -> None:
    code = """
import prompts
print(prompts.__file__)
print(*(prompts.load_prompt(name).name for name in prompts.built_in_prompts()))
"""
    file, names = installed(site, code).splitlines()
    assert Path(file).is_relative_to(site)
    assert {"pair", "pair-tie"} <= set(names.split())


def test_the_command_answers_from_the_installed_wheel(site: Path) -> None:
    code = "import judge, sys; print(judge.__file__); from judge.cli import main; sys.exit(main())"
    file, *shown = installed(site, code, "--help").splitlines()
    assert Path(file).is_relative_to(site)
    assert "run" in " ".join(shown)

"""A new project folder: what lies in it, and that nothing is ever overwritten."""

import json
import tomllib
from pathlib import Path

import pytest

import judge as api
from judge.errors import ConfigError
from judge.settings.loading import load_settings
from prompts.loader import load_prompt

FILES = [
    "README.md",
    "judge.toml",
    ".env.example",
    "prompts/my-pair.toml",
    "data/pairs.jsonl",
    "data/votes.jsonl",
]


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_project_has_all_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "project"
    assert api.init(folder) == tuple(folder / name for name in FILES)
    found = [path for path in folder.rglob("*") if path.is_file()]
    assert sorted(found) == sorted(folder / name for name in FILES)


def test_its_settings_name_the_simulated_judge_and_the_prompt_to_edit(tmp_path: Path) -> None:
    api.init(tmp_path)
    settings = load_settings(tmp_path / "judge.toml", environ={})
    [judge] = settings.judges
    assert settings.endpoint_of(judge).base_url == "http://127.0.0.1:8100/v1"
    assert (judge.model, judge.prompt) == ("simulated-judge", "prompts/my-pair.toml")


def test_its_prompt_asks_what_the_built_in_one_asks(tmp_path: Path) -> None:
    api.init(tmp_path)
    copy = load_prompt(str(tmp_path / "prompts" / "my-pair.toml"))
    assert copy.name == "my-pair"
    assert copy.digest == load_prompt("pair-tie").digest


def test_its_votes_are_by_three_people_on_each_of_ten_pairs(tmp_path: Path) -> None:
    api.init(tmp_path)
    pairs = rows(tmp_path / "data" / "pairs.jsonl")
    votes = rows(tmp_path / "data" / "votes.jsonl")
    assert len({pair["prompt_id"] for pair in pairs}) == len(pairs) == 10
    assert sorted(str(vote["pair_id"]) for vote in votes) == sorted(
        str(pair["pair_id"]) for pair in pairs for _ in range(3)
    )


def test_no_key_stands_anywhere(tmp_path: Path) -> None:
    api.init(tmp_path)
    lines = (tmp_path / ".env.example").read_text().splitlines()
    assigned = [line for line in lines if "=" in line and not line.startswith("#")]
    assert assigned == ["ENDPOINT_KEY="]
    tree = tomllib.loads((tmp_path / "judge.toml").read_text())
    assert "api_key_env" not in tree["endpoints"]["main"]


def test_the_marked_lines_of_the_settings_are_those_to_change(tmp_path: Path) -> None:
    api.init(tmp_path)
    lines = (tmp_path / "judge.toml").read_text().splitlines()
    marked = [line.lstrip("# ").partition(" ")[0] for line in lines if "# change:" in line]
    assert marked == ["base_url", "api_key_env", "model"]


def test_a_project_never_overwrites_and_names_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("README.md", "data/pairs.jsonl"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(ConfigError, match=r"README\.md, data/pairs\.jsonl would be overwritten"):
        api.init(tmp_path)
    assert {path.name for path in tmp_path.rglob("*")} == {"README.md", "data", "pairs.jsonl"}
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_dangling_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "judge.toml").symlink_to(tmp_path / "elsewhere.toml")
    with pytest.raises(ConfigError, match=r"judge\.toml would be overwritten"):
        api.init(tmp_path)
    assert not (tmp_path / "elsewhere.toml").exists()


def test_a_second_project_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    api.init(tmp_path)
    with pytest.raises(ConfigError, match="nothing was written"):
        api.init(tmp_path)


def test_what_was_written_before_a_failure_is_taken_back(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where a folder is needed")
    with pytest.raises(ConfigError, match="cannot be written"):
        api.init(tmp_path)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["data"]

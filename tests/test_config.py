"""Settings: where they come from, which one wins, and what is said about wrong ones."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from judge.errors import ConfigError
from judge.outcomes.labels import Rule
from judge.settings.config import Endpoint, Judge, Settings
from judge.settings.loading import load_settings

CANARY = "sk-canary-7f3a9c0b12d4"

FILE = """
[endpoints.local]
base_url = "http://127.0.0.1:8000/v1"

[[judges]]
name = "strong"
endpoint = "local"
model = "my-judge"

[run]
rule = "lenient"
max_dropped = 0.2
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "judge.toml"
    path.write_text(text)
    return path


def load(
    path: Path | None = None, overrides: dict[str, Any] | None = None, **environ: str
) -> Settings:
    return load_settings(path, overrides, environ=environ)


def refusal(
    path: Path | None = None, overrides: dict[str, Any] | None = None, **environ: str
) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path, overrides, **environ)
    return str(caught.value)


def test_without_anything_the_defaults_hold() -> None:
    settings = load()
    assert settings.run.rule is Rule.CONSERVATIVE
    assert settings.run.max_dropped == 0.05
    assert settings.judges == ()


def test_the_file_beats_the_default(tmp_path: Path) -> None:
    settings = load(write(tmp_path, FILE))
    assert settings.run.rule is Rule.LENIENT
    assert settings.run.max_dropped == 0.2
    assert settings.judges[0].prompt == "pair-tie"


def test_the_environment_beats_the_file(tmp_path: Path) -> None:
    settings = load(write(tmp_path, FILE), JUDGE_RUN__RULE="conservative")
    assert settings.run.rule is Rule.CONSERVATIVE
    assert settings.run.max_dropped == 0.2


def test_a_flag_beats_the_environment(tmp_path: Path) -> None:
    settings = load(write(tmp_path, FILE), {"run.max_dropped": 0.7}, JUDGE_RUN__MAX_DROPPED="0.5")
    assert settings.run.max_dropped == 0.7
    assert settings.run.rule is Rule.LENIENT


def test_the_environment_reaches_into_lists_and_tables(tmp_path: Path) -> None:
    settings = load(
        write(tmp_path, FILE),
        JUDGE_JUDGES__0__MODEL="other",
        JUDGE_JUDGES__1__MODEL="second",
        JUDGE_JUDGES__1__ENDPOINT="local",
        JUDGE_ENDPOINTS__LOCAL__MAX_IN_FLIGHT="7",
        JUDGE_ENDPOINTS__LOCAL__TIMEOUT_S="2.5",
    )
    assert [judge.model for judge in settings.judges] == ["other", "second"]
    assert settings.judges[0].name == "strong"
    assert settings.endpoints["local"].max_in_flight == 7
    assert settings.endpoints["local"].timeout_s == 2.5


def test_a_variable_that_is_no_toml_value_is_a_text() -> None:
    settings = load(JUDGE_JUDGES__0__MODEL="org/model:v1", JUDGE_JUDGES__0__NAME="a = b\nc = 1")
    assert settings.judges[0].model == "org/model:v1"
    assert settings.judges[0].name == "a = b\nc = 1"
    assert load(JUDGE_JUDGES__0__MODEL="1\nname = 2").judges[0].model == "1\nname = 2"


def test_variables_of_other_programs_are_left_alone() -> None:
    assert load(JUDGE_HOME="/x", JUDGE_CACHE__DIR="/y", JUDGE_RUN="z", RUN__RULE="q") == load()


def test_overrides_replace_append_and_extend() -> None:
    settings = load(
        None,
        {
            "judges": [{"model": "one"}],
            "judges.0.temperature": 0.5,
            "judges.1": {"model": "two"},
            "judges.2.model": "three",
        },
    )
    assert [judge.model for judge in settings.judges] == ["one", "two", "three"]
    assert settings.judges[0].temperature == 0.5


def test_overrides_stay_as_the_caller_wrote_them() -> None:
    overrides = {"judges": [{"model": "one"}], "judges.0.model": "two"}
    assert load(None, overrides).judges[0].model == "two"
    assert overrides["judges"] == [{"model": "one"}]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("judges.3.model", '"3" is not a position in a list of 1; positions count from 0'),
        ("judges.first.model", '"first" is not a position'),
        ("judges.x", '"x" is not a position'),
        ("run.rule.deep", '"rule" is a single value, not a table'),
        ("run.rule.deep.er", '"deep" stands under a single value'),
    ],
)
def test_an_override_that_leads_nowhere_is_named(tmp_path: Path, key: str, said: str) -> None:
    message = refusal(write(tmp_path, FILE), {key: "x"})
    assert f'setting "{key}"' in message
    assert said in message


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[run]\nrul = 'lenient'", 'unknown key "run.rul"; did you mean "rule"?'),
        ("[runs]\nrule = 'lenient'", 'unknown key "runs"; did you mean "run"?'),
        (
            "[[judges]]\nmodel = 'm'\ntemprature = 1",
            'unknown key "judges.0.temprature"; did you mean "temperature"?',
        ),
        (
            "[endpoints.x]\nbase_url = 'http://h/v1'\nmax_in_flihgt = 1",
            'unknown key "endpoints.x.max_in_flihgt"; did you mean "max_in_flight"?',
        ),
        ("[run]\nzzz = 1", 'unknown key "run.zzz"; remove it'),
    ],
)
def test_an_unknown_key_is_refused_with_the_file_and_the_nearest_key(
    tmp_path: Path, line: str, said: str
) -> None:
    path = write(tmp_path, line)
    assert refusal(path) == f"{path}: {said}"


def test_a_misspelt_variable_is_named_itself(tmp_path: Path) -> None:
    path = write(tmp_path, FILE)
    assert refusal(path, JUDGE_RUN__RULEE="lenient") == (
        'JUDGE_RUN__RULEE: unknown key "run.rulee"; did you mean "rule"?'
    )
    assert refusal(path, JUDGE_RUNN__RULE="lenient") == (
        'JUDGE_RUNN__RULE: unknown key "runn"; did you mean "run"?'
    )
    assert refusal(path, {"run.rulee": "lenient"}).startswith("flags: unknown key")


def test_a_judge_without_a_model_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "[[judges]]\nname = 'a'\n")
    assert refusal(path) == f'{path}: "judges.0.model" is missing; add it'
    path = write(tmp_path, "[[judges]]\nmodel = ''\n")
    assert '"judges.0.model"' in refusal(path)


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("[run]\nmax_dropped = 'few'", "run.max_dropped", "'few'"),
        ("[run]\nmax_dropped = 7", "run.max_dropped", "7"),
        ("[run]\nmax_dropped = nan", "run.max_dropped", "nan"),
        ("[run]\nrule = 'strict'", "run.rule", "'strict'"),
        ("[[judges]]\nmodel = 5", "judges.0.model", "5"),
        ("[[judges]]\nmodel = 'm'\nmax_tokens = 0", "judges.0.max_tokens", "0"),
        ("[[judges]]\nmodel = 'm'\nmax_tokens = true", "judges.0.max_tokens", "True"),
        ("[[judges]]\nmodel = 'm'\ntemperature = inf", "judges.0.temperature", "inf"),
        ("[[judges]]\nmodel = 'm'\norders = 'one'", "judges.0.orders", "'one'"),
        ("judges = 'm'", "judges", "'m'"),
        (
            "[endpoints.x]\nbase_url = 'http://h/v1'\nmax_in_flight = 5000",
            "endpoints.x.max_in_flight",
            "5000",
        ),
        ("[endpoints.x]\nbase_url = 'http://h/v1'\ntimeout_s = 0", "endpoints.x.timeout_s", "0"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key_and_the_value(
    tmp_path: Path, text: str, key: str, value: str
) -> None:
    path = write(tmp_path, text)
    message = refusal(path)
    assert message.startswith(f'{path}: "{key}": ')
    assert message.endswith(f"(got {value})")


def test_every_problem_has_a_line_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path, "[run]\nrul = 1\nmax_dropped = 9\n[[judges]]\nname = 'a'\n")
    lines = refusal(path).splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"{path}: ") for line in lines)


def test_an_unknown_endpoint_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    path = write(tmp_path, FILE.replace('endpoint = "local"', 'endpoint = "locl"'))
    assert refusal(path) == (
        f'{path}: judge "strong": there is no endpoint "locl"; did you mean "local"? '
        "endpoints are: local"
    )


def test_settings_made_in_code_name_a_missing_endpoint_too() -> None:
    settings = Settings(judges=(Judge(model="m"),))
    with pytest.raises(ConfigError, match='no endpoint "default"; endpoints are: none'):
        settings.endpoint_of(settings.judges[0])


def test_two_judges_of_one_name_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, FILE + "[[judges]]\nendpoint = 'local'\nmodel = 'strong'\n")
    assert refusal(path) == f'{path}: two judges are called "strong"; give one another name'


@pytest.mark.parametrize(
    "text",
    ["[run", "rule = lenient", "[run]\nrule = 'a'\nrule = 'b'", "judges = [{model = 'm'"],
)
def test_broken_toml_names_the_file_and_the_place(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    message = refusal(path)
    assert message.startswith(f"{path}: not valid TOML: ")
    assert "line" in message or "end of document" in message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "no.toml"
    assert refusal(missing).startswith(f"{missing}: cannot be read (No such file or directory)")
    assert refusal(tmp_path).startswith(f"{tmp_path}: cannot be read (Is a directory)")
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"# caf\xe9\n")
    assert refusal(latin).startswith(f"{latin}: not valid TOML")


def test_without_endpoints_the_openai_variables_make_one() -> None:
    endpoint = load(OPENAI_BASE_URL="http://127.0.0.1:9/v1", OPENAI_API_KEY=CANARY).endpoints
    assert endpoint["default"].base_url == "http://127.0.0.1:9/v1"
    assert endpoint["default"].api_key_env == "OPENAI_API_KEY"


def test_a_local_address_without_a_key_sends_none() -> None:
    endpoint = load(OPENAI_BASE_URL="http://127.0.0.1:9/v1").endpoints["default"]
    assert endpoint.api_key_env is None
    assert endpoint.api_key("default", {"OPENAI_API_KEY": CANARY}) is None


def test_the_provider_itself_always_wants_its_key() -> None:
    endpoint = load().endpoints["default"]
    assert endpoint.base_url == "https://api.openai.com/v1"
    with pytest.raises(ConfigError, match="environment variable OPENAI_API_KEY is not set"):
        endpoint.api_key("default", {})


def test_endpoints_of_the_file_leave_no_default_beside_them(tmp_path: Path) -> None:
    settings = load(write(tmp_path, FILE), OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    assert set(settings.endpoints) == {"local"}


def test_a_key_variable_that_is_not_set_is_named() -> None:
    endpoint = Endpoint(base_url="http://h/v1", api_key_env="MY_KEY")
    for environ in ({}, {"MY_KEY": ""}, {"MY_KEY": " \n"}):
        with pytest.raises(ConfigError) as caught:
            endpoint.api_key("local", environ)
        assert str(caught.value) == (
            'endpoint "local": environment variable MY_KEY is not set; '
            "export it, or remove api_key_env if the endpoint needs no key"
        )


def test_a_key_loses_the_line_break_of_the_file_it_was_read_from() -> None:
    endpoint = Endpoint(base_url="http://h/v1", api_key_env="MY_KEY")
    key = endpoint.api_key("local", {"MY_KEY": f"{CANARY}\n"})
    assert key is not None
    assert key.get_secret_value() == CANARY


@pytest.mark.parametrize("key", [f"{CANARY}\nX-Other: 1", f"{CANARY}\x00", f"{CANARY}é"])
def test_a_key_that_no_header_can_carry_is_refused_unseen(key: str) -> None:
    endpoint = Endpoint(base_url="http://h/v1", api_key_env="MY_KEY")
    with pytest.raises(ConfigError, match="the key in MY_KEY holds") as caught:
        endpoint.api_key("local", {"MY_KEY": key})
    assert CANARY not in str(caught.value)


def test_no_repr_shows_a_key() -> None:
    endpoint = Endpoint(
        base_url="http://h/v1",
        api_key_env="MY_KEY",
        headers={"api-key": CANARY},
        extra_body={"key": CANARY},
    )
    settings = Settings(endpoints={"local": endpoint})
    key = endpoint.api_key("local", {"MY_KEY": CANARY})
    for shown in (repr(endpoint), str(endpoint), repr(settings), repr(key), str(key), f"{key}"):
        assert CANARY not in shown


@pytest.mark.parametrize(
    "lines",
    [
        f"api_key = '{CANARY}'",
        f"api_key_env = '{CANARY}'",
        f"api_key_env = ['{CANARY}']",
        f"headers = '{CANARY}'",
        f"headers = ['{CANARY}']",
        f"headers = {{Authorization = ['{CANARY}']}}",
        f'headers = {{Authorization = "{CANARY}\\n"}}',
        f"extra_body = '{CANARY}'",
        f"base_url = ['{CANARY}']",
        f"base_url = 'http://user:{CANARY}@h/v1'",
        f"base_url = 'https://h/v1?key={CANARY}'",
    ],
)
def test_no_error_shows_a_key_that_was_put_in_the_wrong_place(tmp_path: Path, lines: str) -> None:
    address = "" if "base_url" in lines else "base_url = 'http://h/v1'\n"
    path = write(tmp_path, f"[endpoints.local]\n{address}{lines}\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert "local" in str(caught.value)
    shown: BaseException | None = caught.value
    while shown is not None:
        assert CANARY not in str(shown)
        assert CANARY not in repr(shown)
        shown = shown.__cause__


def test_a_key_that_looks_like_a_variable_name_is_not_repeated_when_it_is_not_set() -> None:
    endpoint = Endpoint(base_url="http://h/v1", api_key_env="gsk_canary0123456789")
    with pytest.raises(ConfigError, match="variable named by api_key_env is not set") as caught:
        endpoint.api_key("local", {})
    assert "gsk_canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("127.0.0.1:8000/v1", 'base_url "127.0.0.1:8000/v1" must begin with http:// or https://'),
        ("ftp://h/v1", "must begin with http:// or https://"),
        ("http://", "and name a host"),
        ("http://h:99999/v1", "is no address"),
        ("http://[::1/v1", "is no address"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(tmp_path: Path, url: str, said: str) -> None:
    path = write(tmp_path, f"[endpoints.local]\nbase_url = '{url}'\n")
    assert said in refusal(path)
    assert 'endpoint "local"' in refusal(path)


def test_extra_body_holds_only_what_json_can_say(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "[endpoints.local]\nbase_url = 'http://h/v1'\nextra_body = {since = 2024-01-01}\n",
    )
    assert '"endpoints.local.extra_body.since"' in refusal(path)


def test_settings_cannot_be_changed_afterwards() -> None:
    settings = load(None, {"judges.0.model": "m"})
    with pytest.raises(ValidationError):
        settings.run.rule = Rule.LENIENT  # type: ignore[misc]


def test_asking_for_no_probabilities_is_spelt_false_for_toml_has_no_null(tmp_path: Path) -> None:
    path = tmp_path / "judge.toml"
    path.write_text('[[judges]]\nmodel = "m"\ntop_logprobs = false\n')
    assert load(path).judges[0].top_logprobs is None
    assert load(None, {"judges.0.model": "m"}).judges[0].top_logprobs == 20


@pytest.mark.parametrize("wrong", ["true", "0", "21", '"all"', "2.5"])
def test_an_impossible_number_of_alternatives_is_refused(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "judge.toml"
    path.write_text(f'[[judges]]\nmodel = "m"\ntop_logprobs = {wrong}\n')
    assert "judges.0.top_logprobs" in refusal(path)


def test_what_is_left_to_the_server_is_not_sent() -> None:
    judge = Judge(model="m", temperature=None, seed=3)
    assert judge.sampling() == {"seed": 3}
    assert judge.display_name == "m"

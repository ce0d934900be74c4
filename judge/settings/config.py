"""Settings: one model for the config file, the environment and the flags.

Keys to endpoints are named by environment variable and never written down.
`judge.settings.loading` reads settings from where they are written.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SecretStr,
    field_validator,
    model_validator,
)

from judge.candidates.generators import Generator
from judge.candidates.pairing import PairingRules
from judge.errors import ConfigError
from judge.policies.rules import Confidence, PolicyRules
from judge.prices.pricing import Price
from judge.settings.suggestion import did_you_mean

Count = Annotated[int, Field(strict=True, ge=1)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1)]
Header = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$")]

VLLM_IN_FLIGHT = 256
"""More than most engines work on at once, so that one never waits for us."""
VLLM_TIMEOUT_S = 600.0
"""Longer than for an address: a request's time in the engine's own queue counts."""
ADDRESS_KEYS = (
    "base_url",
    "api_key_env",
    "headers",
    "max_tokens_field",
    "accept_missing_finish_reason",
    "batch_discount",
)
"""Keys of an endpoint that mean nothing where the model runs in this process."""
MODEL_OPTIONS = ("quantization", "revision", "tokenizer", "hf_overrides")
"""Options of an engine that make another model of it, so that its judgments are others."""


FIELD_PATH = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$"
"""A field of a request, or one in a table of it."""


class Table(BaseModel):
    """Base of every table of the config file: frozen, and an unknown key is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", protected_namespaces=(), hide_input_in_errors=True
    )


class Endpoint(Table):
    """Where a model is asked and how hard it may be pushed: an address, or vLLM in this process."""

    engine: Literal["openai", "vllm"] = "openai"
    """"openai" is any OpenAI-compatible address; "vllm" loads the model in this process."""
    base_url: Name | None = None
    """Up to and including the version, such as http://127.0.0.1:8000/v1; for "openai" alone."""
    options: dict[str, JsonValue] = {}
    """Arguments of the engine "vllm" by vLLM's names, such as tensor_parallel_size."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; None sends no Authorization header."""
    headers: Annotated[dict[Header, Header], Field(repr=False)] = {}
    extra_body: Annotated[dict[str, JsonValue], Field(repr=False)] = {}
    """Fields merged into every request, for "vllm" its sampling parameters; part of a judgment's
    identity."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """Newer models of OpenAI refuse `max_tokens`."""
    reasoning_tokens_field: Annotated[str, Field(pattern=FIELD_PATH)] | None = None
    """Where a judge's reasoning_tokens are sent as a limit, such as thinking_token_budget (vLLM),
    thinking_budget (DashScope) or reasoning.max_tokens (OpenRouter); None sends them nowhere."""
    max_in_flight: Annotated[Count, Field(le=4096)] = 64
    """Upper bound of the adaptive limit on requests in flight."""
    start_in_flight: Annotated[Count, Field(le=4096)] | None = None
    """Where the limit starts; the smaller of 64 and max_in_flight where not given, for "vllm"
    max_in_flight."""
    rpm: Count | None = None
    """Requests per minute."""
    tpm: Count | None = None
    """Tokens per minute, prompts and replies together."""
    timeout_s: Annotated[Number, Field(gt=0)] = 120.0
    """For one request, from sending it to its last byte."""
    accept_missing_finish_reason: Annotated[bool, Field(strict=True)] = False
    """For servers that never send one. A cut reply can then not be told from a whole one."""
    batch_discount: Annotated[Number, Field(ge=0, lt=1)] | None = None
    """Share of the price that a provider's batches save; where not given, as its price list says,
    or else half."""

    @model_validator(mode="before")
    @classmethod
    def _an_engine_has_its_own_queue(cls, given: Any) -> Any:
        """Nothing is learned about the load that vLLM bears: it takes all and queues it itself."""
        if not isinstance(given, Mapping) or given.get("engine") != "vllm":
            return given
        told = {"max_in_flight": VLLM_IN_FLIGHT, "timeout_s": VLLM_TIMEOUT_S, **given}
        return {"start_in_flight": told["max_in_flight"], **told}

    @property
    def address(self) -> str:
        """Where the endpoint is, in words where it has no URL."""
        return self.base_url or "vLLM in this process"

    @property
    def asked(self) -> dict[str, JsonValue]:
        """What the endpoint adds to what is asked; part of a judgment's identity."""
        return self.extra_body | {
            option: self.options[option] for option in MODEL_OPTIONS if option in self.options
        }

    def contradiction(self) -> str | None:
        """Return what does not go with the engine, with the remedy; None where all does."""
        if self.engine == "vllm":
            strays = [key for key in ADDRESS_KEYS if key in self.model_fields_set]
            remedy = 'which engine = "vllm" has not: its model runs in this process; remove it'
            return f"{strays[0]} belongs to an address, {remedy}" if strays else None
        if self.options:
            return 'options are arguments of an engine; add engine = "vllm", or remove them'
        if self.base_url is None:
            return (
                "base_url is missing; add the address, such as http://127.0.0.1:8000/v1, or "
                'engine = "vllm" to run the model in this process'
            )
        return None

    def only_model(self, name: str, models: Iterable[str]) -> str:
        """Return the model that an engine in this process loads; ConfigError where two are asked.

        `models` are those of all that name the endpoint, at least one.
        """
        first, *others = dict.fromkeys(models)
        if others:
            raise ConfigError(
                f'endpoint "{name}": engine = "vllm" loads one model, and it is asked for '
                f'"{first}" and "{others[0]}"; give each model an [endpoints] table of its own'
            )
        return first

    def api_key(self, name: str, environ: Mapping[str, str]) -> SecretStr | None:
        """Return the key, or None when no variable is named; ConfigError if it is not set."""
        if self.api_key_env is None:
            return None
        key = environ.get(self.api_key_env, "").strip()
        if not key:
            raise ConfigError(
                f'endpoint "{name}": environment variable {self._shown_variable()} is not set; '
                "export it, or remove api_key_env if the endpoint needs no key"
            )
        if not (key.isascii() and key.isprintable()):
            raise ConfigError(
                f'endpoint "{name}": the key in {self._shown_variable()} holds a line break or '
                "another character that no key has; set it again"
            )
        return SecretStr(key)

    def _shown_variable(self) -> str:
        """Return the variable's name, unless it looks like a key that was put in its place."""
        name = self.api_key_env or ""
        return name if name.isupper() else "named by api_key_env"


class Judge(Table):
    """One judge: a model, a prompt and how it is sampled."""

    model: Name
    name: str = ""
    """Nickname in reports; the model's name where empty. Not part of a judgment's identity."""
    endpoint: str = "default"
    prompt: Name = "pair-tie"
    """A built-in prompt's name or a path to a TOML file."""
    criteria: Name | None = None
    """Built-in criteria's name or a path to a TOML file; None takes those of the prompt, if any."""
    examples: Name | None = None
    """File of examples that stand before the pair, as judge tune writes it; part of a judgment's
    identity."""
    few_shots: Count | None = None
    """How many of them are shown, from the first on; all where None."""
    orders: Literal["both"] = "both"
    temperature: Annotated[Number, Field(ge=0)] | None = 0.0
    """False or None leaves it to the server, for models that refuse the parameter."""
    top_p: Annotated[Number, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(strict=True)] | None = None
    max_tokens: Count = 1024
    reasoning_effort: Name | None = None
    """Such as minimal, low, medium or high; sent as it is, nothing where None."""
    reasoning_tokens: Count | None = None
    """Room for thinking, on top of max_tokens; also a limit on it where the endpoint names a
    reasoning_tokens_field."""
    json_schema: Annotated[bool, Field(strict=True)] | None = None
    """Whether the schema of the verdict is sent, where the prompt wants JSON; None sends it, False
    leaves it to the prompt, for endpoints that refuse it."""
    top_logprobs: Annotated[Count, Field(le=20)] | None = 20
    """Alternatives of each token to ask the probabilities of, where the prompt wants a letter and
    nothing else; false or None asks for none. Not part of a judgment's identity."""
    accept_above: Confidence | None = None
    """In a cascade: the confidence from which on this judge's labels are final."""

    @field_validator("top_logprobs", "temperature", mode="before")
    @classmethod
    def _false_is_none(cls, given: Any) -> Any:
        """TOML has no null."""
        return None if given is False else given

    @property
    def display_name(self) -> str:
        return self.name or self.model

    def sampling(self) -> dict[str, float | int | str]:
        """Return the sampling parameters that are sent, without `max_tokens`."""
        given = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": self.seed,
            "reasoning_effort": self.reasoning_effort,
        }
        return {name: value for name, value in given.items() if value is not None}


class Run(PolicyRules):
    """What a run asks, and what it does with the replies."""

    max_dropped: Annotated[Number, Field(ge=0, le=1)] = 0.05
    """Share of the asks that may end without a verdict before the exit code says so."""
    budget_requests: Count | None = None
    """Over all jobs of the run, as are the other two; checked before a request is sent."""
    budget_tokens: Count | None = None
    budget_usd: Annotated[Number, Field(gt=0)] | None = None
    """In US dollars, at the prices of the prices table or of the price list."""
    doubtful_references: Literal["judge", "skip"] = "judge"
    """What becomes of a pair whose reference judge references check found doubtful: it is judged
    all the same and its label says so, or nothing is asked and it is left to people."""
    until: Count | None = None
    """Usable labels, first or second, until which prompts are answered and judged in waves."""
    max_candidates_per_prompt: Count | None = None
    """For `until`, once all prompts are answered; 4 times what the generators write where not
    given."""


class References(Table):
    """How reference answers are checked by a model's own answers."""

    judge: Name | None = None
    """Name of the judge whose model answers and compares; the first one where None."""
    samples: Count = 3
    """Own answers to each question."""
    temperature: Annotated[Number, Field(gt=0)] = 0.7
    """Of the own answers; not sent where the judge sends none."""
    max_tokens: Count = 1024
    """Of an own answer, thinking included."""


class Batching(Table):
    """How asks are cut into files for a provider's batches."""

    max_requests: Annotated[Count, Field(le=50_000)] = 50_000
    """In one file."""
    max_bytes: Annotated[Count, Field(le=200_000_000)] = 200_000_000
    """Of one file."""
    completion_window: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,3}[hd]$")] = "24h"
    """The time that the provider is given, such as 24h or 7d."""


class Settings(Table):
    """Everything a job can be told, whether by file, environment or flag."""

    endpoints: dict[str, Endpoint] = {}
    judges: tuple[Judge, ...] = ()
    generators: tuple[Generator, ...] = ()
    pairing: PairingRules = PairingRules()
    run: Run = Run()
    batching: Batching = Batching()
    references: References = References()
    prices: dict[str, Price] = {}
    """By model name, in US dollars per million tokens; they go before the price list."""

    def models_at(self, endpoint: str) -> list[str]:
        """Return the models that judges and generators ask for at an endpoint."""
        asked = [judge.model for judge in self.judges if judge.endpoint == endpoint]
        return asked + [one.model for one in self.generators if one.endpoint == endpoint]

    def endpoint_of(self, model: Judge | Generator) -> Endpoint:
        """Return the endpoint that a judge or generator names; ConfigError if there is none."""
        if model.endpoint not in self.endpoints:
            known = ", ".join(sorted(self.endpoints)) or "none"
            hint = did_you_mean(model.endpoint, self.endpoints)
            role = "judge" if isinstance(model, Judge) else "generator"
            raise ConfigError(
                f'{role} "{model.display_name}": there is no endpoint "{model.endpoint}"{hint}'
                f"{'' if hint else ';'} endpoints are: {known}"
            )
        return self.endpoints[model.endpoint]

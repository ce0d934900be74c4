"""vLLM's asynchronous engine as a LocalEngine. The only module that imports vLLM.

Its API moves between versions: what is used of it is here, and its errors become ours here.
"""

import gc
import os
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from multiprocessing import resource_tracker
from typing import Any

from pydantic import ValidationError

from judge.backends.vllm import Generated, alternatives_of
from judge.backends.wire import one_line
from judge.errors import AccountError, ConfigError, EndpointError, ItemError, TransientError
from judge.settings.config import Endpoint
from judge.settings.suggestion import did_you_mean

INSTALL = 'pip install "evenhand[vllm]"'
SHUTDOWN_S = 10.0
DEFAULTS = {
    "enable_prefix_caching": True,
    "disable_log_stats": True,
}
"""Engine arguments that an endpoint's options may overrule."""
ENVIRONMENT = {
    # vLLM writes its log to stdout, where results go, and says much that helps nobody here.
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    # A forked engine would inherit the open ledger and hold its lock after a kill of this process.
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
}
"""Set where the user has not: vLLM reads them while it is imported."""
NOT_SETTABLE = {"n", "output_kind"}
"""Sampling parameters that would give other than one whole reply."""
_MEMORY_WORDS = ("memory", "kv cache", "max_model_len", "max seq len")
_MEMORY = (
    "lower gpu_memory_utilization, max_model_len or max_num_seqs in the endpoint's options, or "
    "spread the model with tensor_parallel_size or a quantization; an engine that a killed job "
    "left behind holds memory too, until it is ended"
)
_CAUSES = (
    (("bootstrapping phase",), 'put the call under `if __name__ == "__main__":`'),
    (_MEMORY_WORDS, _MEMORY),
    (("repo", "not a local folder", "identifier", "no such file", "config.json"),
     "check the model: a folder, or a name on the hub that this machine can reach"),
    (("initialization failed",), f"the cause is in vLLM's lines above; if it is memory, {_MEMORY}"),
)  # fmt: skip
"""Words of vLLM's own messages, in small letters, and what helps. The first that fits is taken."""


def start_engine(name: str, endpoint: Endpoint, model: str) -> "VLLMEngine":
    """Return an engine with the model loaded; blocks for as long as that takes.

    Raises ConfigError where vLLM is missing, an option is wrong or the model does not load.
    """
    installed_version(name, endpoint)
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    try:
        arguments = AsyncEngineArgs(**{**DEFAULTS, **endpoint.options, "model": model})
        with _deaf_to_interrupts():
            return VLLMEngine(name, AsyncLLM.from_engine_args(arguments))
    except Exception as error:  # whatever a driver, a checkpoint or a start-up process raises
        raise ConfigError(
            f'endpoint "{name}": vLLM could not load "{model}": {_cause(error)}; {_remedy(error)}'
        ) from error


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: what is in flight is to be finished and stored.

    They inherit what this thread blocks; whoever started them ends them.
    """
    resource_tracker.ensure_running()  # started later, it would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def installed_version(name: str, endpoint: Endpoint) -> str:
    """Return vLLM's version, having imported it and found every option among its arguments.

    Takes seconds. Raises ConfigError where it is missing or does not know an option.
    """
    where = f'endpoint "{name}"'
    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    try:
        import vllm
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM  # noqa: F401 (it loads what may be broken)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "vllm":
            raise ConfigError(
                f'{where}: engine = "vllm" needs vLLM, which is not installed; {INSTALL}'
            ) from error
        raise ConfigError(f"{where}: vLLM cannot be imported ({error}); install it") from error
    except Exception as error:  # its imports load drivers and libraries, which fail in any way
        raise ConfigError(
            f"{where}: vLLM cannot be imported ({one_line(str(error))}); {INSTALL} in a fresh "
            "environment"
        ) from error
    version = str(vllm.__version__)
    _check_options(where, endpoint.options, AsyncEngineArgs, version)
    return version


def _check_options(where: str, options: Mapping[str, Any], known: type, version: str) -> None:
    """Raise ConfigError for an option that is no argument of the engine."""
    if "model" in options:
        raise ConfigError(
            f"{where}: options hold a model; name it in the judge or the generator instead"
        )
    arguments = {field.name for field in fields(known)} - {"model"}
    for option in options:
        if option not in arguments:
            hint = did_you_mean(option, arguments) or "; remove it"
            raise ConfigError(f'{where}: vLLM {version} has no engine argument "{option}"{hint}')


def _cause(error: Exception) -> str:
    if isinstance(error, ValidationError):  # vLLM checks its arguments with pydantic
        first = error.errors(include_url=False)[0]
        option = ".".join(map(str, first["loc"])) or "options"
        return one_line(f"{option} = {first['input']!r}: {first['msg']}")
    return one_line(str(error)) or type(error).__name__


def _remedy(error: Exception) -> str:
    said = f"{error} {error.__cause__ or ''}".lower()
    fitting = (remedy for words, remedy in _CAUSES if any(word in said for word in words))
    return next(fitting, "mend what it names in the endpoint's options")


class VLLMEngine:
    """vLLM's AsyncLLM as a LocalEngine."""

    def __init__(self, name: str, engine: Any) -> None:
        self._name = name
        self._engine = engine
        self._tokenizer = engine.get_tokenizer()
        recommended = engine.model_config.get_diff_sampling_param()
        recommended.pop("max_tokens", None)  # every request says its own
        self._default_sampling: dict[str, Any] = recommended

    @property
    def context_tokens(self) -> int:
        return int(self._engine.model_config.max_model_len)

    @property
    def default_sampling(self) -> Mapping[str, Any]:
        return self._default_sampling

    def tokens_of(
        self, messages: Sequence[Mapping[str, str]], template: Mapping[str, Any]
    ) -> list[int]:
        try:
            tokens = self._tokenizer.apply_chat_template(
                list(messages),
                tokenize=True,
                add_generation_prompt=True,
                return_dict=False,
                **template,
            )
        except Exception as error:  # a chat template is a program, and raises what it likes
            if "chat_template is not set" in str(error):
                raise ConfigError(
                    f"{self._name}: the model has no chat template; take its instruct version, or "
                    "give one as extra_body.chat_template"
                ) from error
            raise ItemError(
                f"{self._name}: the model's chat template refuses the conversation "
                f"({one_line(str(error))}); give another as extra_body.chat_template"
            ) from error
        return list(tokens)

    async def generate(
        self, tokens: list[int], sampling: Mapping[str, Any], request_id: str
    ) -> Generated:
        from vllm.inputs import tokens_input

        parameters = self._parameters(sampling)
        prompt, made = tokens_input(prompt_token_ids=tokens), None
        try:
            async for answer in self._engine.generate(prompt, parameters, request_id):
                made = answer  # only the whole one comes
        except Exception as error:
            raise self._translated(error) from error
        if made is None:
            raise TransientError(f"{self._name}: the engine gave no answer")
        output = made.outputs[0]
        return Generated(
            text=output.text,
            finish_reason=output.finish_reason or "abort",
            output_tokens=len(output.token_ids),
            cached_tokens=made.num_cached_tokens,
            alternatives=_alternatives(output.logprobs),
        )

    def shutdown(self) -> None:
        engine, self._engine = self._engine, None
        listener = engine.output_handler
        if listener is not None:  # it would report the end of the engine's process as its death
            listener.get_loop().call_soon_threadsafe(listener.cancel)
        engine.shutdown(timeout=SHUTDOWN_S)
        del engine
        gc.collect()  # now: at the end of the program its own clean-up fails, and says so

    def _parameters(self, sampling: Mapping[str, Any]) -> Any:
        """Return vLLM's SamplingParams; ConfigError or ItemError where it does not take them."""
        from vllm.sampling_params import (
            RequestOutputKind,
            SamplingParams,
            StructuredOutputsParams,
        )

        given = dict(sampling)
        structure = given.get("structured_outputs")
        self._check_names("a sampling parameter", given, SamplingParams.__struct_fields__)
        if isinstance(structure, Mapping):  # it would ignore a misspelt one
            kinds = [field.name for field in fields(StructuredOutputsParams) if field.init]
            self._check_names("part of structured_outputs", structure, kinds)
        try:
            if isinstance(structure, Mapping):
                given["structured_outputs"] = StructuredOutputsParams(**structure)
            return SamplingParams(**given, output_kind=RequestOutputKind.FINAL_ONLY)
        except Exception as error:  # its own classes, pydantic's or Python's, by parameter
            raise ItemError(
                f"{self._name}: the engine refuses the sampling parameters "
                f"({one_line(str(error))}); mend them in the judge, the generator or extra_body"
            ) from error

    def _check_names(self, what: str, given: Iterable[str], known: Iterable[str]) -> None:
        settable = set(known) - NOT_SETTABLE
        for name in given:
            if name not in settable:
                hint = did_you_mean(name, settable) or "; remove it"
                raise ConfigError(
                    f'endpoint "{self._name}": extra_body: "{name}" is not {what} that can be '
                    f"set{hint}"
                )

    def _translated(self, error: Exception) -> EndpointError:
        from vllm.exceptions import VLLMClientError
        from vllm.v1.engine.exceptions import EngineDeadError

        said = one_line(str(error)) or type(error).__name__
        if isinstance(error, EngineDeadError):
            # Nothing in this process can start it again, so no retry can help.
            return AccountError(
                f"{self._name}: vLLM's engine died; its own lines above say why; lower "
                "max_num_seqs or max_model_len if it ran out of memory, and run the same command "
                "again to resume"
            )
        if "thinking_token_budget" in said:  # it would refuse every item alike
            return AccountError(
                f"{self._name}: {said}; set reasoning_parser in the endpoint's options, or remove "
                "thinking_token_budget from reasoning_tokens_field or extra_body"
            )
        if isinstance(error, ValueError | TypeError | VLLMClientError):
            return ItemError(f"{self._name}: the engine refuses the request: {said}")
        return TransientError(f"{self._name}: the engine failed: {said}", kind="engine failure")


def _alternatives(logprobs: Any) -> tuple[Mapping[str, float], ...]:
    return tuple(
        alternatives_of((each.decoded_token or "", each.logprob) for each in position.values())
        for position in logprobs or ()
    )

"""Evenhand: preference data you can trust, and how far you can trust it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from judge.api import (
        acheck,
        agenerate,
        agree,
        arun,
        check,
        compare_runs,
        cost,
        delete_run,
        demo,
        export,
        generate,
        handoff,
        import_file,
        init,
        run,
        runs,
        show_run,
        simulate,
    )
    from judge.verdicts import parse_verdict

__all__ = [
    "acheck",
    "agenerate",
    "agree",
    "arun",
    "check",
    "compare_runs",
    "cost",
    "delete_run",
    "demo",
    "export",
    "generate",
    "handoff",
    "import_file",
    "init",
    "parse_verdict",
    "run",
    "runs",
    "show_run",
    "simulate",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import judge` itself costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'judge' has no attribute {name!r}")
    from importlib import import_module

    home = "judge.verdicts" if name == "parse_verdict" else "judge.api"
    return getattr(import_module(home), name)

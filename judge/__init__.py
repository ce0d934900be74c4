"""Evenhand: preference data you can trust, and how far you can trust it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from judge.api.batch import (
        abatch_fetch,
        abatch_status,
        abatch_submit,
        batch_export,
        batch_fetch,
        batch_import,
        batch_status,
        batch_submit,
    )
    from judge.api.compare import compare
    from judge.api.deliver import agree, export, handoff, import_file
    from judge.api.label import agenerate, arun, cost, generate, run
    from judge.api.references import acheck_references, check_references
    from judge.api.runs import delete_run, runs, show_run
    from judge.api.start import acheck, check, demo, init, simulate
    from judge.api.tune import atune, tune, tune_cost
    from judge.replies.verdicts import parse_verdict
    from judge.trust.certifying import certify
    from judge.trust.planning_labels import plan

_HOMES = {
    "abatch_fetch": "judge.api.batch",
    "abatch_status": "judge.api.batch",
    "abatch_submit": "judge.api.batch",
    "batch_export": "judge.api.batch",
    "batch_fetch": "judge.api.batch",
    "batch_import": "judge.api.batch",
    "batch_status": "judge.api.batch",
    "batch_submit": "judge.api.batch",
    "compare": "judge.api.compare",
    "agree": "judge.api.deliver",
    "certify": "judge.trust.certifying",
    "plan": "judge.trust.planning_labels",
    "export": "judge.api.deliver",
    "handoff": "judge.api.deliver",
    "import_file": "judge.api.deliver",
    "agenerate": "judge.api.label",
    "arun": "judge.api.label",
    "cost": "judge.api.label",
    "generate": "judge.api.label",
    "run": "judge.api.label",
    "acheck_references": "judge.api.references",
    "check_references": "judge.api.references",
    "delete_run": "judge.api.runs",
    "runs": "judge.api.runs",
    "show_run": "judge.api.runs",
    "acheck": "judge.api.start",
    "check": "judge.api.start",
    "demo": "judge.api.start",
    "init": "judge.api.start",
    "simulate": "judge.api.start",
    "atune": "judge.api.tune",
    "tune": "judge.api.tune",
    "tune_cost": "judge.api.tune",
    "parse_verdict": "judge.replies.verdicts",
}

__all__ = [
    "abatch_fetch",
    "abatch_status",
    "abatch_submit",
    "acheck",
    "acheck_references",
    "agenerate",
    "agree",
    "arun",
    "atune",
    "batch_export",
    "batch_fetch",
    "batch_import",
    "batch_status",
    "batch_submit",
    "certify",
    "check",
    "check_references",
    "compare",
    "cost",
    "delete_run",
    "demo",
    "export",
    "generate",
    "handoff",
    "import_file",
    "init",
    "parse_verdict",
    "plan",
    "run",
    "runs",
    "show_run",
    "simulate",
    "tune",
    "tune_cost",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import judge` itself costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'judge' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)

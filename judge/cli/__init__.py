"""The command line: one module per command, each imported only when its command is used.

Commands are thin: they turn flags into arguments of the Python twin in `judge.api` and results
into words. Data goes to standard output, talk to standard error.
"""

import sys
from importlib.metadata import PackageNotFoundError, version

from cyclopts import App, Group, Parameter

from judge.cli.door import exit_code_of

ABOUT = "Turn prompts into preference data you can trust, and say how far you can trust it."
EXIT_CODES = """\
Every command takes --debug, which shows the full traceback of an error.

Exit codes: 0 done; 1 a stated threshold failed; 2 usage or settings; 3 too many asks without a \
verdict; 4 ended early after first results; 5 endpoint or key failed before any result; 70 an \
error nobody foresaw; 130 interrupted; 143 terminated. After 4, 5, 130 and 143 the same command \
resumes."""


def _version() -> str:
    try:
        return version("evenhand")
    except PackageNotFoundError:
        return "unknown: the package is not installed"


app = App(
    name="judge",
    help=ABOUT,
    help_epilogue=EXIT_CODES,
    version=_version,
    result_action="return_value",
    default_parameter=Parameter(negative=()),
)

_START = Group("start", sort_key=1)
_LABEL = Group("label", sort_key=2)
_TRUST = Group("trust", sort_key=3)
_PEOPLE = Group("people", sort_key=4)
_DATA = Group("data and service", sort_key=5)

app.command(
    "judge.cli.demo:command", name="demo", group=_START,
    help="See the whole path at work in seconds: no key, no network, a simulated judge.",
)  # fmt: skip
app.command(
    "judge.cli.init:command", name="init", group=_START,
    help="Write a new project folder that runs at once: settings, a prompt, example data.",
)  # fmt: skip
app.command(
    "judge.cli.check:command", name="check", group=_START,
    help="Look over settings, keys, endpoints and ledger, and ask each judge one question.",
)  # fmt: skip
app.command(
    "judge.cli.simulate:command", name="simulate", group=_START,
    help="Serve a simulated judge on this machine, or write simulated human votes.",
)  # fmt: skip
app.command(
    "judge.cli.generate:command", name="generate", group=_LABEL,
    help="Have generators answer prompts, and write their answers as pairs to judge.",
)  # fmt: skip
app.command(
    "judge.cli.run:command", name="run", group=_LABEL,
    help="Judge pairs in both orders, or prompts answered first; resumes by itself.",
)  # fmt: skip
app.command(
    "judge.cli.cost:command", name="cost", group=_LABEL,
    help="Say what judging a file would take: calls, tokens, money and time. Sends nothing.",
)  # fmt: skip
_batch = App(
    name="batch", group=_LABEL,
    help="Judge through a provider's batches: files of requests out, files of replies in.",
)  # fmt: skip
app.command(_batch)
for _name, _help in (
    ("export", "Write what judging a file still takes as batch files. Sends nothing."),
    ("import", "Store what came of a batch, and say exactly what is still missing."),
    ("submit", "Upload the files of a folder and have a batch made of each."),
    ("status", "Say how far the batches of a folder have come."),
    ("fetch", "Download what came of the batches of a folder, and import it."),
):
    _batch.command(f"judge.cli.batch:{_name}_command", name=_name, help=_help)
_references = App(
    name="references", group=_LABEL, help="Check the reference answers that judges are shown."
)
app.command(_references)
_references.command(
    "judge.cli.references:check_command", name="check",
    help="Flag references that the judge's model contradicts when it answers by itself.",
)  # fmt: skip
_runs = App(name="runs", group=_LABEL, help="List, show and delete the runs of a ledger.")
app.command(_runs)
for _name, _help in (
    ("list", "List the runs of a ledger."),
    ("show", "Show the settings, judges and counts of one run."),
    ("delete", "Delete a run with the facts that no other run uses."),
):
    _runs.command(f"judge.cli.runs:{_name}_command", name=_name, help=_help)
app.command(
    "judge.cli.agree:command", name="agree", group=_TRUST,
    help="Report how far the judges agree with human votes, and with themselves.",
)  # fmt: skip
app.command(
    "judge.cli.compare:command", name="compare", group=_TRUST,
    help="Say which of two or more judges, prompts or criteria agrees more with people.",
)  # fmt: skip
app.command(
    "judge.cli.certify:command", name="certify", group=_TRUST,
    help="Certify that a judge agrees with human votes at least so often, or say why not.",
)  # fmt: skip
app.command(
    "judge.cli.plan:command", name="plan", group=_TRUST,
    help="Say how many human labels a certificate, an interval or a comparison needs.",
)  # fmt: skip
app.command(
    "judge.cli.tune:command", name="tune", group=_TRUST,
    help="Try prompts, examples and temperatures on dev votes; test the best on the others.",
)  # fmt: skip
app.command(
    "judge.cli.handoff:command", name="handoff", group=_PEOPLE,
    help="Draw pairs for people to judge, and write them as blinded tasks with guidelines.",
)  # fmt: skip
app.command(
    "judge.cli.importing:command", name="import", group=_DATA,
    help="Load pairs, human votes or judgments from a JSON Lines file into a ledger.",
)  # fmt: skip
app.command(
    "judge.cli.export:command", name="export", group=_DATA,
    help="Write the decided pairs of a run as training data, or all of its labels.",
)  # fmt: skip


def main() -> None:
    """Run the command line of this process and exit with its code."""
    sys.exit(exit_code_of(app, sys.argv[1:]))

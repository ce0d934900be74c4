"""Every error this project raises on purpose, as one tree.

EvenhandError
├── ConfigError         a setting is wrong or missing                     exit 2
├── InputError          an input file or line is wrong                    exit 2
├── LedgerError         the ledger cannot be opened, read or written      exit 2
├── BudgetExceeded      a budget ended the job; it can be resumed         exit 4
└── EndpointError       a model could not be asked
    ├── TransientError  worth retrying: time-outs, resets, 5xx, broken bodies
    │   ├── ThrottledError    429: wait as told, the attempt does not count
    │   └── UnreachableError  nothing answers at the address
    ├── ItemError       this item will never be accepted; it becomes a `failed` judgment
    └── AccountError    no item will be accepted: key, credit or model    exit 5, or 4 after results

A retry can fix a TransientError and nothing else. A strange reply is data, not an error.
Every message names the item, the cause and the remedy.
"""


class EvenhandError(Exception):
    """Root of the tree. `exit_code` is what the command line returns."""

    exit_code = 2


class ConfigError(EvenhandError):
    """A setting is unknown, missing or out of range."""


class InputError(EvenhandError):
    """An input file cannot be read or one of its lines is not valid."""


class LedgerError(EvenhandError):
    """The ledger cannot be opened, read or written; what it holds is untouched."""


class BudgetExceeded(EvenhandError):
    """A budget is spent. Everything stored stays, and the same command resumes."""

    exit_code = 4


class EndpointError(EvenhandError):
    """A request to a model failed."""

    exit_code = 5


class TransientError(EndpointError):
    """The same request may succeed later. `kind` is the cause in a word, for counting."""

    def __init__(self, message: str, *, kind: str = "broken reply") -> None:
        super().__init__(message)
        self.kind = kind


class ThrottledError(TransientError):
    """The endpoint asks for patience (429)."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message, kind="429")
        self.retry_after_s = retry_after_s


class UnreachableError(TransientError):
    """No connection could be made to the endpoint's address."""


class ItemError(EndpointError):
    """The endpoint rejects this item for good (400, 413, 422, content filter)."""

    def __init__(self, message: str, *, is_refusal: bool = False) -> None:
        super().__init__(message)
        self.is_refusal = is_refusal


class AccountError(EndpointError):
    """The endpoint rejects every item (401, 402, 403, unknown model, no credit).

    `is_certain` is False where a single item might be the cause: some providers answer 403 to a
    text they dislike, so those count only when they come in a row.
    """

    def __init__(self, message: str, *, is_certain: bool = True) -> None:
        super().__init__(message)
        self.is_certain = is_certain

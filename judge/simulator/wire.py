"""HTTP/1.1 as bytes: one request read from a buffer, one response written. Pure.

Only what a loopback server of small JSON bodies needs: bodies with a Content-Length, no chunked
requests. Written by hand because a general server spends several times as long per request, and
the simulated judge must never be the slow end of a benchmark.
"""

from dataclasses import dataclass
from http import HTTPStatus

from judge.simulator.messages import Response

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 16 * 1024 * 1024
UPLOAD_PATH = "/v1/files"
MAX_UPLOAD_BYTES = 200_000_000 + 64 * 1024
"""Of a form with a batch file in it."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_END_OF_HEAD = b"\r\n\r\n"
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class WireError(Exception):
    """The bytes are no request that this server reads; the connection cannot go on."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a request."""

    method: str
    path: str
    authorization: str | None
    body_start: int
    """Bytes before the body."""
    body_end: int
    """Bytes before the next request."""
    keeps_alive: bool
    expects_continue: bool
    query: str = ""
    """What follows the path and its question mark."""
    content_type: str | None = None


def read_head(received: bytes | bytearray) -> Head | None:
    """Return the head of the first request received, or None while it is incomplete."""
    end = received.find(_END_OF_HEAD, 0, MAX_HEAD_BYTES)
    if end < 0:
        if len(received) >= MAX_HEAD_BYTES:
            raise WireError(431, f"the request head is longer than {MAX_HEAD_BYTES} bytes")
        return None
    request_line, *lines = received[:end].split(b"\r\n")
    words = request_line.split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        raise WireError(400, "the request line is not HTTP/1")
    fields: dict[bytes, bytes] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        fields[bytes(name.lower())] = bytes(value.strip())
    authorization = fields.get(b"authorization")
    connection = fields.get(b"connection", b"").lower()
    content_type = fields.get(b"content-type")
    body_start = end + len(_END_OF_HEAD)
    path, _, query = words[1].decode("latin-1").partition("?")
    most = MAX_UPLOAD_BYTES if path == UPLOAD_PATH else MAX_BODY_BYTES
    return Head(
        method=words[0].decode("latin-1"),
        path=path,
        authorization=None if authorization is None else authorization.decode("latin-1"),
        body_start=body_start,
        body_end=body_start + _body_length(fields, most),
        keeps_alive=words[2] == b"HTTP/1.1" and connection != b"close",
        expects_continue=b"expect" in fields,
        query=query,
        content_type=None if content_type is None else content_type.decode("latin-1"),
    )


def _body_length(fields: dict[bytes, bytes], most: int) -> int:
    if b"transfer-encoding" in fields:
        raise WireError(411, "send the body with a Content-Length, not in chunks")
    text = fields.get(b"content-length", b"0")
    if not text.isdigit() or len(text) > 18:
        raise WireError(400, "Content-Length is not a number")
    length = int(text)
    if length > most:
        raise WireError(413, f"the body is longer than {most} bytes")
    return length


def encode_response(response: Response, *, keeps_alive: bool) -> bytes:
    """Return a response as bytes; every one says that it is simulated."""
    head = (
        f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Unknown')}\r\n"
        f"content-type: {response.content_type}\r\n"
        f"content-length: {len(response.body)}\r\n"
        "server: evenhand-simulator\r\n"
        "x-simulated: true\r\n"
    )
    if response.retry_after_s is not None:
        # Fractions are not in the standard, but clients read them and tests need short waits.
        head += f"retry-after: {response.retry_after_s:g}\r\n"
        head += f"retry-after-ms: {response.retry_after_s * 1000:g}\r\n"
    if not keeps_alive:
        head += "connection: close\r\n"
    return head.encode("ascii") + b"\r\n" + response.body

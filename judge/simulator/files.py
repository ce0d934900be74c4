"""Files as the simulated provider keeps them: uploaded as forms, held in memory, within bounds."""

import re
import time
from dataclasses import dataclass, field

from judge.simulator import messages
from judge.simulator.messages import Response

MAX_FILE_BYTES = 200_000_000
MAX_STORED_BYTES = 600_000_000
"""Of all files together."""

_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))')
_NAME = re.compile(rb'name="([^"]*)"')
_FILENAME = re.compile(rb'filename="([^"]*)"')


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file."""

    file_id: str
    name: str
    purpose: str
    content: bytes
    created_at: int

    def as_dict(self) -> dict[str, object]:
        return {
            "id": self.file_id,
            "object": "file",
            "bytes": len(self.content),
            "created_at": self.created_at,
            "filename": self.name,
            "purpose": self.purpose,
            "status": "processed",
        }


@dataclass(slots=True)
class FileShelf:
    """All files of a simulated provider."""

    files: dict[str, StoredFile] = field(default_factory=dict)
    stored_bytes: int = 0

    def add(self, name: str, content: bytes, *, purpose: str) -> StoredFile | None:
        """Return the file as it is kept from now on; None where there is no room for it."""
        if self.stored_bytes + len(content) > MAX_STORED_BYTES:
            return None
        file_id = f"file-simulated-{len(self.files) + 1:06d}"
        file = StoredFile(file_id, name, purpose, content, int(time.time()))
        self.files[file_id] = file
        self.stored_bytes += len(content)
        return file

    def upload(self, body: bytes, content_type: str | None) -> Response:
        """Return the answer to a form with the fields `purpose` and `file`."""
        form = read_form(body, content_type)
        given = form.get("file")
        if given is None:
            return messages.error(400, "a form with a file is needed.", param="file")
        purpose = form.get("purpose", ("", b""))[1].decode("utf-8", "replace")
        if purpose != "batch":
            return messages.error(400, "only files for batches are taken.", param="purpose")
        name, content = given
        if len(content) > MAX_FILE_BYTES:
            return messages.error(413, f"the file has more than {MAX_FILE_BYTES} bytes.")
        file = self.add(name, content, purpose=purpose)
        if file is None:
            return messages.error(413, f"all files have more than {MAX_STORED_BYTES} bytes.")
        return messages.as_json(file.as_dict())

    def page(self, file_id: str, *, wants_content: bool) -> Response:
        """Return the answer to a question for a file, or for what it holds."""
        file = self.files.get(file_id)
        if file is None:
            return messages.error(404, "there is no such file.", param="file_id")
        if wants_content:
            return Response(200, file.content, content_type="application/octet-stream")
        return messages.as_json(file.as_dict())


def read_form(body: bytes, content_type: str | None) -> dict[str, tuple[str, bytes]]:
    """Return field -> (file name, content) of a multipart form (RFC 7578); empty for no form."""
    found = _BOUNDARY.search(content_type or "")
    if found is None:
        return {}
    mark = b"--" + (found[1] or found[2]).encode()
    fields: dict[str, tuple[str, bytes]] = {}
    start = body.find(mark)
    while start >= 0:
        end = body.find(b"\r\n" + mark, start)
        if end < 0:
            break
        head_end = body.find(b"\r\n\r\n", start, end)
        head = body[start:head_end] if head_end >= 0 else b""
        if name := _NAME.search(head):
            filename = _FILENAME.search(head)
            fields[name[1].decode("utf-8", "replace")] = (
                filename[1].decode("utf-8", "replace") if filename else "",
                body[head_end + 4 : end],
            )
        start = end + 2
    return fields

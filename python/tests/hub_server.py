# SPDX-License-Identifier: BSD-3-Clause
"""A stand-in of the Hugging Face hub on this machine, for HF_ENDPOINT: what huggingface_hub asks for when a model is loaded."""

from __future__ import annotations

import hashlib
import json
import pathlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def _handler(folder: pathlib.Path) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            parts = self.path.partition("?")[0].strip("/").split("/")
            if parts[:2] == ["api", "models"]:
                self._describe(folder / "/".join(parts[2:4]), listed="tree" in parts)
            elif len(parts) > 4 and parts[2] == "resolve":
                self._give(folder / "/".join(parts[:2] + parts[4:]))
            else:
                self._answer(404, b"")

        def _describe(self, model: pathlib.Path, listed: bool) -> None:
            if not model.is_dir():
                self._answer(404, b"", {"X-Error-Code": "RepoNotFound"})
                return
            names = sorted(str(file.relative_to(model)) for file in model.rglob("*") if file.is_file())
            tree = [{"type": "file", "path": name, "size": (model / name).stat().st_size, "oid": COMMIT} for name in names]
            siblings = [{"rfilename": name} for name in names]
            about = {"id": f"{model.parent.name}/{model.name}", "sha": COMMIT, "tags": [], "siblings": siblings}
            self._answer(200, json.dumps(tree if listed else about).encode(), {"Content-Type": "application/json"})

        def _give(self, file: pathlib.Path) -> None:
            if not file.is_file():
                self._answer(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
                return
            data = file.read_bytes()
            headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(data).hexdigest()}"', "Accept-Ranges": "bytes"}
            asked = self.headers.get("Range", "")
            if not asked:
                self._answer(200, data, headers)
                return
            first, _, last = asked.removeprefix("bytes=").partition("-")
            begin, end = int(first), min(int(last or len(data)) + 1, len(data))
            self._answer(206, data[begin:end], headers | {"Content-Range": f"bytes {begin}-{end - 1}/{len(data)}"})

        def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    return Handler


@contextmanager
def serving(folder: pathlib.Path) -> Iterator[str]:
    """The address of a hub whose models are the folders OWNER/NAME in `folder`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()

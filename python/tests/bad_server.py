# SPDX-License-Identifier: BSD-3-Clause
"""A web server with ranges that counts what it is asked for and sends, and can be told to misbehave."""

from __future__ import annotations

import pathlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Misbehaviour:
    """What goes wrong, each for every request unless it says otherwise."""

    ignore_ranges: bool = False
    drop_after: Callable[[int], int | None] = lambda _: None  # after how many bytes of a body the connection is cut
    status: Callable[[], int | None] = lambda: None  # in the place of an answer
    short: int | None = None  # no answer has more bytes
    longer: int = 0  # bytes that the length promises and that never come
    total: Callable[[int], int] = lambda size: size  # what Content-Range says of the size
    shift: int = 0  # of the range that is sent
    etag: Callable[[str], str | None] = lambda tag: tag
    pause: float = 0.0  # seconds before each 64 KiB
    compressed: bool = False
    absent: int = 404  # the answer where no such file is
    redirect: str = ""  # a prefix of paths, to which all others lead


@dataclass
class Server:
    """A server at work. `log`: (path, range) of each request; `sent`: bytes of bodies."""

    folder: pathlib.Path
    url: str = ""
    log: list[tuple[str, str]] = field(default_factory=list)
    sent: int = 0
    headers: list[dict[str, str]] = field(default_factory=list)
    bad: Misbehaviour = field(default_factory=Misbehaviour)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def forget(self) -> None:
        """Counts from zero."""
        with self.lock:
            self.log, self.sent, self.headers = [], 0, []


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            bad, path = server.bad, self.path.partition("?")[0]
            with server.lock:
                server.log.append((self.path, self.headers.get("Range", "")))
                server.headers.append(dict(self.headers))
            status = bad.status()
            file = server.folder / path.removeprefix(bad.redirect).lstrip("/")
            if status is not None:
                self._plain(status)
            elif bad.redirect and not path.startswith(bad.redirect):
                self._plain(302, {"Location": bad.redirect + self.path})
            elif not file.is_file():
                self._plain(bad.absent)
            else:
                self._file(file, bad)

        def _plain(self, status: int, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": "0", **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()

        def _file(self, file: pathlib.Path, bad: Misbehaviour) -> None:
            data = file.read_bytes()
            tag = bad.etag(f'"{len(data)}-{file.stat().st_mtime_ns}"')
            if tag is not None and self.headers.get("If-None-Match") == tag:
                self._plain(304, {"ETag": tag})
                return
            asked = self.headers.get("Range", "")
            headers = {} if tag is None else {"ETag": tag}
            other = self.headers.get("If-Range", tag) != tag
            if asked and not bad.ignore_ranges and not other:
                first, last = (int(n) for n in asked.removeprefix("bytes=").split("-"))
                if first >= len(data):
                    self._plain(416, {"Content-Range": f"bytes */{len(data)}"})
                    return
                last = min(last, len(data) - 1, first + (bad.short or len(data)) - 1)
                total = bad.total(len(data))
                headers["Content-Range"] = f"bytes {first + bad.shift}-{last + bad.shift}/{total}"
                self._body(206, data[first : last + 1], headers, bad)
            else:
                self._body(200, data, headers, bad)

        def _body(self, status: int, body: bytes, headers: dict[str, str], bad: Misbehaviour) -> None:
            if bad.compressed:
                headers["Content-Encoding"] = "gzip"
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body) + bad.longer), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            cut = bad.drop_after(len(body))
            left = memoryview(body if cut is None else body[:cut])
            while left:
                if bad.pause:
                    time.sleep(bad.pause)
                with server.lock:  # before they go, as the reader may be at its next request when write() returns
                    server.sent += min(len(left), 64 << 10)
                self.wfile.write(left[: 64 << 10])
                left = left[64 << 10 :]
            if bad.longer or (cut is not None and cut < len(body)):
                self.wfile.flush()
                self.close_connection = True

    return Handler


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that went away is no news."""


@contextmanager
def serving(folder: pathlib.Path) -> Iterator[Server]:
    """The files of a folder, on a port of this machine."""
    server = Server(folder)
    http = _Quiet(("127.0.0.1", 0), _handler(server))
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def randomly(seed: int, most: int) -> Callable[[int], int]:
    """Numbers below `most`, the same ones every time."""
    source = random.Random(seed)
    return lambda _: source.randrange(most)


def after(left: int) -> Callable[[int], int]:
    """Cuts every connection when so many bytes have been sent in all."""
    lock = threading.Lock()

    def cut(length: int) -> int:
        nonlocal left
        with lock:
            before, left = left, max(left - length, 0)
        return before

    return cut

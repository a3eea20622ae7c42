# SPDX-License-Identifier: BSD-3-Clause
"""Byte ranges of a file on the web or in any store of fsspec: one request each, checked, and asked again where it broke.

HTTP is spoken here, over fsspec's session, since what matters is in the answers' headers: whether it is the range that was
asked for, and still the same file. Every other store is asked by fsspec alone.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import random
import re
import threading
from dataclasses import dataclass
from typing import Any

from ._errors import AccessError, Error, InterruptError, InvalidArgumentError, IoError, MissingFileError, UnsupportedError
from ._urls import redacted, redacted_text, scheme_of

ATTEMPTS = 6
"""After as many in a row that brought next to nothing, the server is given up."""
FIRST_ATTEMPTS = 3
"""As many where nobody listens, or the host has no address, and nothing of the file has been seen yet: a URL may be wrong."""
BACK_OFF = 0.5
"""Seconds before the second attempt; doubled before each further one."""
_LONGEST_WAIT = 30.0
_ENOUGH = 16 << 10  # bytes that make an attempt one that got on
_SILENCE = 60.0  # seconds without a byte
_SLOWEST = 16 << 10  # bytes a second, after a minute; of whoever sends less the rest is asked for anew
_AGAIN = frozenset((408, 425, 429, *range(500, 600)))


@dataclass(frozen=True)
class Identity:
    """What a file is known by: if it changes, this does. `tag`: ETag, or the time of the last change, or neither."""

    size: int
    tag: str | None


@dataclass
class Piece:
    """One request, and what came of it. `memory` is ours: an attempt that was cut off may still write into it."""

    offset: int
    memory: memoryview
    known: Identity | None = None
    unless: str | None = None  # the tag of a copy that is at hand
    done: int = 0
    found: Identity | None = None
    unchanged: bool = False
    again: str = ""  # why it is worth another attempt
    unreached: bool = False  # no connection was made
    wait: float = 0.0  # seconds that the server asks for
    failure: Error | None = None


class Stop:
    """Ends the requests of one call from another thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._running: set[concurrent.futures.Future[None]] = set()

    def set(self) -> None:
        with self._lock:
            self._event.set()
            for future in self._running:
                future.cancel()

    def sleep(self, seconds: float) -> None:
        if self._event.wait(seconds):
            raise InterruptError("interrupted")

    def run(self, coroutine: Any, loop: asyncio.AbstractEventLoop) -> None:
        future: concurrent.futures.Future[None] = asyncio.run_coroutine_threadsafe(coroutine, loop)
        with self._lock:
            self._running.add(future)
            if self._event.is_set():
                future.cancel()
        try:
            future.result()
        except concurrent.futures.CancelledError:
            raise InterruptError("interrupted") from None
        finally:
            future.cancel()
            with self._lock:
                self._running.discard(future)


def io_error(cls: type[Error], url: str, message: str, offset: int | None = None) -> Error:
    """An error about a file elsewhere, worded as the library's are."""
    shown = redacted(url)
    place = "" if offset is None else f"offset {offset}: "
    return cls(f"{shown}: {place}{message}", message=message, file=shown, offset=offset)


def changed(url: str) -> Error:
    """What is read would be half of one file and half of another."""
    return io_error(IoError, url, "the file was changed while it was read: open it again")


class Transport:
    """A file elsewhere. Thread-safe."""

    def __init__(self, url: str) -> None:
        self.url = url

    def once(self, piece: Piece, stop: Stop) -> None:
        """One request."""
        raise NotImplementedError

    def start(self, size: int, unless: str | None, stop: Stop) -> tuple[Identity, bytes, bool]:
        """What the file is, its first bytes (up to `size`), and whether it still has the tag `unless`: then no bytes."""
        raise NotImplementedError

    def fill(self, offset: int, memory: memoryview, known: Identity, stop: Stop) -> None:
        """Fills the memory, going on where an answer broke off."""
        self.attempt(Piece(offset, memory, known), len(memory), stop)

    def attempt(self, piece: Piece, wanted: int, stop: Stop) -> Piece:
        """Until `wanted` bytes of the piece, or all that the file has, are there."""
        first, memory, failed = piece.offset, piece.memory, 0
        while True:
            at = piece.done
            request = Piece(first + at, memory[at:], piece.known or piece.found, piece.unless)
            self.once(request, stop)
            if request.failure is not None:
                raise request.failure
            piece.done += request.done
            piece.found, piece.unchanged = request.found or piece.found, request.unchanged
            size = piece.found.size if piece.found is not None else first + wanted
            if piece.unchanged or (not request.again and piece.done >= min(wanted, size - first)):
                return piece
            failed = 1 if request.done >= _ENOUGH else failed + 1
            if failed == (FIRST_ATTEMPTS if request.unreached and request.known is None else ATTEMPTS):
                why = request.again or "the answers are shorter than what was asked for"
                raise io_error(IoError, self.url, f"{why}; given up after {failed} attempts", first + piece.done)
            stop.sleep(max(min(request.wait, _LONGEST_WAIT), BACK_OFF * 2 ** (failed - 1) * random.uniform(0.75, 1.25)))


class HttpTransport(Transport):
    """A file of a web server. Where it redirects to is remembered, so that a range costs one request and not two."""

    def __init__(self, url: str, place: str | None = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(url)
        self._place = place or url
        self._headers = headers or {}
        self._target: Any = None  # behind the redirections

    def start(self, size: int, unless: str | None, stop: Stop) -> tuple[Identity, bytes, bool]:
        piece = Piece(0, memoryview(bytearray(size)), unless=unless)
        self.attempt(piece, size, stop)
        if piece.unchanged:
            return Identity(0, unless), b"", True
        if piece.found is None:
            raise io_error(IoError, self.url, "the server sent nothing")
        return piece.found, bytes(piece.memory[: piece.done]), False

    def once(self, piece: Piece, stop: Stop) -> None:
        session = _http()
        stop.run(self._get(session, piece), session.loop)

    async def _get(self, http: Any, piece: Piece) -> None:
        import aiohttp

        try:
            await self._ask(http, await http.set_session(), piece)
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            piece.failure = io_error(InvalidArgumentError, self.url, "is no URL that HTTP could ask for")
        except (aiohttp.TooManyRedirects, aiohttp.ClientSSLError) as error:
            piece.failure = self._failed(redacted_text(str(error)) or type(error).__name__)
        except asyncio.TimeoutError:
            piece.again = "the server is silent, or slower than 16 KiB a second"
        except (aiohttp.ClientError, OSError) as error:
            piece.again = redacted_text(str(error)) or type(error).__name__
            piece.unreached = isinstance(error, aiohttp.ClientConnectorError)

    async def _ask(self, http: Any, session: Any, piece: Piece) -> None:
        import aiohttp

        count = len(piece.memory)
        headers = {"Accept-Encoding": "identity", "Range": f"bytes={piece.offset}-{piece.offset + count - 1}"}
        if piece.known is not None and piece.known.tag is not None and piece.known.tag.startswith('"'):
            headers["If-Range"] = piece.known.tag
        if piece.unless is not None:
            headers["If-None-Match"] = piece.unless
        target = self._target
        if target is None:
            headers |= self._headers
        timeout = aiohttp.ClientTimeout(total=_SILENCE + count / _SLOWEST, sock_connect=30, sock_read=_SILENCE)
        where = http.encode_url(self._place) if target is None else target
        async with session.get(where, headers=headers, timeout=timeout, read_bufsize=1 << 20, **http.kwargs) as answer:
            if target is not None and answer.status in (400, 401, 403, 404, 410):
                self._target = None  # a signed URL that has expired
                piece.again = f"the server answers {answer.status}"
            else:
                await self._take(answer, piece)
            if piece.again or piece.failure is not None:
                answer.close()  # what it is still sending is not wanted
            elif answer.history:
                self._target = answer.url

    async def _take(self, answer: Any, piece: Piece) -> None:
        if self._place.startswith("https:") and answer.url.scheme != "https":
            piece.failure = self._failed("the server leads from https to http, where anybody could change the bytes")
        elif answer.status in _AGAIN:
            piece.again = f"the server answers {answer.status} {answer.reason or ''}".rstrip()
            wait = answer.headers.get("Retry-After", "")
            piece.wait = float(wait) if re.fullmatch(r"\d{1,6}", wait) else 0.0
        elif answer.status == 304 and piece.unless is not None:
            piece.unchanged = True
        elif answer.status not in (200, 206):
            piece.failure = self._refused(answer, piece)
        else:
            await self._receive(answer, piece)

    def _refused(self, answer: Any, piece: Piece) -> Error:
        status = f"{answer.status} {answer.reason or ''}".rstrip()
        if answer.status in (404, 410):
            return io_error(MissingFileError, self.url, f"is not there (the server answers {status})")
        if answer.status in (401, 403):
            why = "a token or a signature is missing or has expired, or it is not there and the server does not say so"
            return io_error(AccessError, self.url, f"the server refuses it ({status}): {why}")
        if answer.status == 416 and piece.known is None:
            return self._failed("is empty")
        if answer.status == 416:
            return self._failed("the server says that the file ends before here, though it said otherwise before", piece.offset)
        if answer.status == 412:
            return changed(self.url)
        return self._failed(f"the server answers {status}")

    async def _receive(self, answer: Any, piece: Piece) -> None:
        if answer.headers.get("Content-Encoding", "identity") not in ("identity", ""):
            piece.failure = self._failed("the server compresses what it sends, of which no range can be told")
            return
        end = self._end(answer, piece)
        if end is None:
            return
        async for chunk in answer.content.iter_any():
            taken = min(len(chunk), end - piece.done)
            piece.memory[piece.done : piece.done + taken] = chunk[:taken]
            piece.done += taken
            if taken < len(chunk):
                piece.failure = self._failed("the server sends more bytes than it said", piece.offset)
                return

    def _end(self, answer: Any, piece: Piece) -> int | None:
        """How many bytes are to come. None, with the failure noted, where it is not the range or not the file."""
        tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
        length = answer.content_length
        if answer.status == 200:
            return self._whole(piece, length, tag)
        said = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", answer.headers.get("Content-Range", ""))
        if said is None:
            piece.failure = self._failed("the server does not say which bytes it sends (Content-Range)", piece.offset)
            return None
        first, last, size = (int(number) for number in said.groups())
        piece.found = Identity(size, tag)
        if piece.known is not None and not _same(piece.known, piece.found):
            piece.failure = changed(self.url)
        elif first != piece.offset or not first <= last < size or last - first >= len(piece.memory):
            piece.failure = self._failed("the server sends other bytes than it was asked for", piece.offset)
        elif length is not None and length != last - first + 1:
            piece.failure = self._failed(f"the server says {length} bytes where the range has {last - first + 1}", piece.offset)
        return None if piece.failure is not None else last - first + 1

    def _whole(self, piece: Piece, length: int | None, tag: str | None) -> int | None:
        """Of an answer that is the whole file, which is right only where that is no more than was asked for."""
        if piece.known is not None and (length or piece.known.size, tag or piece.known.tag) != (
            piece.known.size,
            piece.known.tag,
        ):
            piece.failure = changed(self.url)
        elif piece.offset == 0 and length is not None and length <= len(piece.memory):
            piece.found = Identity(length, tag)
            return length
        else:
            piece.failure = self._failed(
                "the server gives no byte ranges: it would send the whole file for a part of it; download it by another program"
            )
        return None

    def _failed(self, message: str, offset: int | None = None) -> Error:
        return io_error(IoError, self.url, message, offset)


def _same(known: Identity, found: Identity) -> bool:
    return known.size == found.size and (known.tag is None or found.tag is None or known.tag == found.tag)


class StoreTransport(Transport):
    """A file of any other store. Whether it changed is known by what the store says of it before and after."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        import fsspec

        try:
            self._store, self._path = fsspec.core.url_to_fs(url)
        except ImportError as error:
            failure = io_error(UnsupportedError, url, redacted_text(str(error)))
        except (ValueError, OSError) as error:
            failure = io_error(InvalidArgumentError, url, redacted_text(str(error)))
        else:
            return
        raise failure

    def start(self, size: int, unless: str | None, stop: Stop) -> tuple[Identity, bytes, bool]:
        identity = self.identity(stop)
        if unless is not None and identity.tag == unless:
            return identity, b"", True
        memory = memoryview(bytearray(min(size, identity.size)))
        self.fill(0, memory, identity, stop)
        return identity, bytes(memory), False

    def identity(self, stop: Stop) -> Identity:
        """As the store says now."""
        piece = Piece(0, memoryview(b""))
        self.attempt(piece, 0, stop)
        assert piece.found is not None
        return piece.found

    def once(self, piece: Piece, stop: Stop) -> None:
        stop.sleep(0)
        try:
            if piece.known is None:
                piece.found = self._look()
                return
            data = self._store.cat_file(self._path, start=piece.offset, end=piece.offset + len(piece.memory))
        except FileNotFoundError:
            piece.failure = io_error(MissingFileError, self.url, "is not there")
        except PermissionError as error:
            piece.failure = io_error(AccessError, self.url, redacted_text(str(error)) or "the store refuses it")
        except (IsADirectoryError, NotImplementedError, ImportError) as error:
            piece.failure = io_error(IoError, self.url, redacted_text(str(error)) or type(error).__name__)
        except Error as error:
            piece.failure = error
        except Exception as error:  # of somebody's store, which raises what it likes
            piece.again = redacted_text(str(error)) or type(error).__name__
        else:
            if len(data) > len(piece.memory):
                piece.failure = io_error(IoError, self.url, "the store gives other bytes than it was asked for", piece.offset)
                return
            piece.memory[: len(data)] = data
            piece.done = len(data)

    def _look(self) -> Identity:
        said = self._store.info(self._path)
        if said.get("type") == "directory":
            raise FileNotFoundError(self.url)
        if not isinstance(said.get("size"), int):
            raise io_error(UnsupportedError, self.url, "the store does not say how long the file is")
        tags = (said.get(key) for key in ("ETag", "etag", "version_id", "LastModified", "mtime"))
        return Identity(said["size"], next((str(tag) for tag in tags if tag is not None), None))


_session: tuple[int, Any] = (0, None)
_session_lock = threading.Lock()


def _http() -> Any:
    """fsspec's file system of HTTP, one for the process: its connections are used again by all."""
    global _session
    with _session_lock:
        if _session[0] != os.getpid():  # the loop of a parent does not run in its child
            import fsspec

            # Proxies and .netrc are taken from the environment, as by other programs.
            given = fsspec.config.conf.get("http", {}).get("client_kwargs", {})
            made = fsspec.filesystem("http", client_kwargs={"trust_env": True, **given}, skip_instance_cache=True)
            _session = os.getpid(), made
        return _session[1]


def transport_of(url: str) -> Transport:
    """How this URL is read. UnsupportedError where a package is missing."""
    try:
        import aiohttp  # noqa: F401
        import fsspec  # noqa: F401
    except ImportError as error:
        raise UnsupportedError(f'URLs need {error.name}: pip install "llmcodec[remote]"') from error
    scheme = scheme_of(url)
    if scheme in ("http", "https"):
        return HttpTransport(url)
    return _hub(url) if scheme == "hf" else StoreTransport(url)


def _hub(url: str) -> Transport:
    """A file of Hugging Face's hub, or of what HF_ENDPOINT says, under its own URL there."""
    try:
        import huggingface_hub as hub
    except ImportError as error:
        raise UnsupportedError("hf:// needs huggingface_hub: pip install huggingface_hub") from error
    try:
        place = hub.HfFileSystem().resolve_path(url.partition("://")[2])
        file = hub.hf_hub_url(place.repo_id, place.path_in_repo, repo_type=place.repo_type, revision=place.revision)
        return HttpTransport(url, file, hub.utils.build_hf_headers(library_name="llmcodec"))
    except FileNotFoundError as error:
        failure = io_error(MissingFileError, url, redacted_text(str(error)) or "is not there")
    except (OSError, ValueError, NotImplementedError) as error:
        failure = io_error(IoError, url, redacted_text(str(error).partition("\n")[0]) or type(error).__name__)
    raise failure

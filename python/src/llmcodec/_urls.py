# SPDX-License-Identifier: BSD-3-Clause
"""URLs: which texts are some, what is left of them for other people's eyes, and their neighbours."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from ._errors import printable

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?:::[A-Za-z][A-Za-z0-9+.-]*)*://")
_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")


def is_url(path: object) -> bool:
    """Whether this is a URL, and no path of a file."""
    return isinstance(path, str) and _URL.match(path) is not None


def scheme_of(url: str) -> str:
    """ "https" of "https://host/file"; the first one of a chain, "simplecache" of "simplecache::https://host/file"."""
    return url.partition("://")[0].partition("::")[0].lower()


def redacted(url: str) -> str:
    """The URL without what may be a secret: user and password, and the value of everything behind the question mark, for
    servers call their signatures and tokens whatever they like. Control characters are escaped."""
    scheme, _, rest = url.partition("://")
    rest, _, _ = rest.partition("#")
    place, asked, query = rest.partition("?")
    host, slash, path = place.partition("/")
    _, at, server = host.rpartition("@")
    shown = "&".join(name + equals + ("***" if equals else "") for name, equals, _ in _parameters(query))
    return printable(f"{scheme}://{'***@' if at else ''}{server}{slash}{path}{asked}{shown}")


def _parameters(query: str) -> list[tuple[str, str, str]]:
    # What has no name may be a secret all by itself.
    parts = [part.partition("=") for part in re.split("[&;]", query) if part]
    return [(name if equals else "***", equals, value) for name, equals, value in parts]


def redacted_text(text: str) -> str:
    """A message of another library, with every URL in it redacted."""
    return printable(_IN_TEXT.sub(lambda found: redacted(found[0]), text))


def printable_place(place: str) -> str:
    """A URL or a path for people: without what may be a secret, and control characters escaped."""
    return redacted(place) if is_url(place) else printable(place)


def path_of(url: str) -> str:
    """The path of a URL, as it stands in it."""
    return url.partition("#")[0].partition("?")[0].partition("://")[2]


def name_of(url: str) -> str:
    """The last name of a URL's path."""
    return unquote(path_of(url).rpartition("/")[2])


def beside(url: str, name: str) -> str:
    """The URL of `name` in the folder that the file `url` is in; the query stays."""
    return _renamed(url, lambda path: path.rpartition("/")[0], name)


def inside(url: str, name: str) -> str:
    """The URL of `name` in the folder `url`; the query stays."""
    return _renamed(url, lambda path: path.rstrip("/"), name)


def _renamed(url: str, folder: Callable[[str], str], name: str) -> str:
    chain, found, last = url.rpartition("::")
    parts = urlsplit(last)
    if parts.scheme in ("http", "https"):
        return chain + found + urlunsplit(parts._replace(path=f"{folder(parts.path)}/{quote(name)}", fragment=""))
    # Of every other store the rest is a name as it stands, without queries and escapes.
    scheme, _, rest = last.partition("://")
    return f"{chain}{found}{scheme}://{folder('/' + rest)}/{name}".replace(":///", "://", 1)


def is_plain(name: str) -> bool:
    """Whether a name from a file of strangers may be one here: relative, in parts, none of which leads elsewhere."""
    parts = name.split("/")
    return all(part not in ("", ".", "..") for part in parts) and not re.search(r"[\x00-\x1f\x7f\\]", name) and len(name) < 4096

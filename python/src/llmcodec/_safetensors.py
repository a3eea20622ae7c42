# SPDX-License-Identifier: BSD-3-Clause
"""Plain safetensors files, where they are written piece by piece and not by the package safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def header_bytes(header: Mapping[str, Any]) -> bytes:
    """What a file begins with: the header's length and JSON text, padded so that the data begins at a multiple of 8."""
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text

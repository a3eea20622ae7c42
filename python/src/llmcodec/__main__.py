# SPDX-License-Identifier: BSD-3-Clause
"""`python -m llmcodec` is the program `llmcodec`."""

from ._program import main

main()

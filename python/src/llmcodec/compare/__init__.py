# SPDX-License-Identifier: BSD-3-Clause
"""Which codec, with which profile, for a model's weights: `llmcodec compare` and `llmcodec report` (docs/compare.md).

llmcodec compare MODEL... --budget 20m -o results.json
llmcodec report results.json -o report.html
"""

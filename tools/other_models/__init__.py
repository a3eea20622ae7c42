# SPDX-License-Identifier: BSD-3-Clause
"""Models of score_other_models.py, one a file. Each has NAME; fetch(folder, options) -> folder with model.safetensors, or None
after saying why; and Runner(folder, tensors, options) with model, a torch module (None: no linear layers to look into);
calibrate(), which runs it on calibration data; score(original) -> {column: text}, on other data, against the original's Runner."""

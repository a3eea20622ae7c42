# SPDX-License-Identifier: BSD-3-Clause
"""Other people's quantisers, written from their papers in plain numpy, to be compared with on equal terms.

One method a file. Each has

    quantise(matrix, bits, ...) -> Coded(values, bits)

matrix  float32 [rows, cols], rows = outputs, cols = inputs, finite
values  float32 [rows, cols], what a reader of the method's own format would get back: scales and zeros rounded as stored
bits    everything that format stores for the matrix: codes, scales, zeros, permutations; no file headers

tools/run_peers.py runs them; tests/tools/peers_test.py checks them.
"""

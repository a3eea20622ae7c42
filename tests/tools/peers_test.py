#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Tests of tools/peers: each method's own error, its fixed points, and its bits counted by hand."""
import pathlib
import sys
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
from peers import affine, gptq, hqq, nf4, rtn, score, sinq  # noqa: E402

# QLoRA, appendix E: the values that bitsandbytes ships.
PUBLISHED_NF4 = [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
                 -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
                 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0]


def gaussian(rows, columns, seed=1):
    return np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)


def snr_db(original, restored):
    return 10 * np.log10((original.astype(np.float64) ** 2).sum() / ((original - restored.astype(np.float64)) ** 2).sum())


def input_moments(columns, seed=2):
    factors = gaussian(columns, columns, seed) * np.linspace(0.2, 3, columns)[:, None]
    return (factors @ factors.T / columns).astype(np.float64)


def damage(original, restored, moments):
    error = original - restored
    return np.einsum("ij,jk,ik->", error, moments, error)


class RoundToNearest(unittest.TestCase):
    def test_error_is_that_of_a_uniform_step(self):
        # The mean range of 64 normal values is 4.75 deviations: step 4.75 / (2^b - 1), error step^2 / 12, less at 2 bits
        # where the ends are exact.
        for bits in (3, 4, 8):
            expected = 10 * np.log10(12 * (2**bits - 1) ** 2 / 4.75**2)
            measured = snr_db(x := gaussian(256, 1024), rtn.quantise(x, bits, 64).values)
            self.assertAlmostEqual(measured, expected, delta=0.35, msg=f"{bits} bits")

    def test_bits_counted_by_hand(self):
        self.assertEqual(rtn.quantise(gaussian(10, 128), 3, 64).bits, 10 * 128 * 3 + 10 * 2 * (16 + 3))

    def test_last_group_may_be_short(self):
        coded = rtn.quantise(x := gaussian(4, 192), 4, 128)
        self.assertEqual(coded.bits, 4 * 192 * 4 + 4 * 2 * (16 + 4))
        self.assertGreater(snr_db(x[:, 128:], coded.values[:, 128:]), 18)

    def test_constant_rows_and_zeros(self):
        x = np.zeros((3, 64), np.float32)
        x[1], x[2] = 0.5, -0.25
        np.testing.assert_allclose(rtn.quantise(x, 2, 64).values, x, rtol=1e-3)


class NormalFloat(unittest.TestCase):
    def test_code_book_is_the_published_one(self):
        np.testing.assert_allclose(nf4.code_book(), PUBLISHED_NF4, atol=1e-6)

    def test_dynamic_code_has_256_values_dense_near_zero(self):
        code = nf4.dynamic_code()
        self.assertEqual(len(np.unique(code)), 256)
        self.assertEqual((code.min() > -1, code.max()), (True, 1.0))
        self.assertAlmostEqual(float(code[code > 0].min()), 0.55e-6, delta=1e-8)

    def test_bits_are_4_127(self):
        coded = nf4.quantise(gaussian(256, 256))  # 1,024 blocks, 4 blocks of magnitudes, their mean
        self.assertEqual(coded.bits, 65536 * 4 + 1024 * 8 + 5 * 32)
        self.assertAlmostEqual(coded.bits / 65536, 4.127, delta=0.001)

    def test_exact_zero_and_padding(self):
        x = gaussian(5, 13)
        x[2, 3] = 0
        coded = nf4.quantise(x)
        self.assertEqual(coded.values[2, 3], 0)
        self.assertGreater(snr_db(x, coded.values), 17)


class HalfQuadratic(unittest.TestCase):
    def test_lowers_its_own_objective(self):
        x = gaussian(64, 256)
        x[::7, ::31] *= 8  # outliers are what the 0.7 norm is for
        for bits in (2, 3, 4):
            blocks = x.reshape(-1, 64)
            scale, zero, top = hqq.range_grid(blocks, bits)

            def objective(z):
                return (np.abs(blocks - hqq.restore(blocks, scale, z, top)[1]) ** hqq.P).sum()

            self.assertLess(objective(hqq.best_zero(blocks, scale, zero, top)), objective(zero), f"{bits} bits")

    def test_bits_counted_by_hand(self):
        self.assertEqual(hqq.quantise(gaussian(10, 128), 3).bits, 10 * 128 * 3 + 20 * 32)


class Sinkhorn(unittest.TestCase):
    def test_balances_rows_and_columns(self):
        generator = np.random.default_rng(3)
        x = gaussian(128, 64) * np.exp(generator.normal(0, 0.3, (128, 1))) * np.exp(generator.normal(0, 0.3, (1, 64)))
        rows, columns = sinq.balance(x)
        self.assertGreater(sinq.imbalance(x), 4)
        self.assertLess(sinq.imbalance(x / rows / columns), 1.4)  # it stops where the imbalance first rises

    def test_beats_rounding_where_columns_differ(self):
        x = gaussian(128, 128) * np.exp(np.random.default_rng(4).normal(0, 1, (1, 128))).astype(np.float32)
        relative = 1 / x.std(axis=0)  # every column's error against its own size
        self.assertGreater(snr_db(x * relative, sinq.quantise(x, 3).values * relative),
                           snr_db(x * relative, rtn.quantise(x, 3, 64).values * relative) + 3)

    def test_bits_counted_by_hand(self):
        self.assertEqual(sinq.quantise(gaussian(10, 128), 3).bits, 10 * 128 * 3 + 10 * 2 * (16 + 3) + 128 * 16)


class Gptq(unittest.TestCase):
    def test_white_inputs_give_rounding_to_nearest(self):
        x = gaussian(32, 320)
        np.testing.assert_array_equal(gptq.quantise(x, 3, np.eye(320)).values, rtn.quantise(x, 3, 128).values)

    def test_factor(self):
        moments = input_moments(40)
        upper = gptq.factor(moments)
        damped = moments + 0.01 * np.diag(moments).mean() * np.eye(40)
        np.testing.assert_allclose(upper.T @ upper @ damped, np.eye(40), atol=1e-9)
        np.testing.assert_array_equal(upper, np.triu(upper))

    def test_less_damage_than_rounding(self):
        x, moments = gaussian(64, 256), input_moments(256)
        for bits in (2, 3, 4):
            self.assertLess(damage(x, gptq.quantise(x, bits, moments).values, moments),
                            0.6 * damage(x, rtn.quantise(x, bits, 128).values, moments), f"{bits} bits")

    def test_dead_input(self):
        moments = input_moments(128)
        moments[5, :] = moments[:, 5] = 0
        values = gptq.quantise(gaussian(8, 128), 4, moments).values
        self.assertTrue(np.isfinite(values).all())
        np.testing.assert_array_equal(values[:, 5], 0)

    def test_bits_counted_by_hand(self):
        # 320 columns: three groups, two bits name one.
        self.assertEqual(gptq.quantise(gaussian(8, 320), 3, np.eye(320)).bits, 8 * 320 * 3 + 3 * 8 * (16 + 3) + 320 * 2)


class Score(unittest.TestCase):
    TEXT = ("Mean PPL(Q)                   :  23.998210 ±   0.840913\nMean PPL(base)                :  23.113456 ±   0.804\n"
            "Mean    KLD:   0.037001 ±   0.000601\n99.9%   KLD:   0.621332\nSame top p: 87.978 ± 0.378 %\n")

    def test_reads_every_figure(self):
        self.assertEqual(score.parse(self.TEXT), {
            "perplexity": 23.99821, "perplexity_error": 0.840913, "kl": 0.037001, "kl_error": 0.000601, "kl_999": 0.621332,
            "top1_percent": 87.978, "top1_error": 0.378, "original_perplexity": 23.113456})

    def test_missing_figure_is_named(self):
        with self.assertRaisesRegex(ValueError, "kl_999"):
            score.parse(self.TEXT.replace("99.9%", "99.8%"))


class Scales(unittest.TestCase):
    def test_stored_scale_is_a_half_and_never_zero(self):
        stored = affine.stored_scale(np.array([0.0, 0.1, 1e-9]))
        self.assertTrue((stored > 0).all())
        np.testing.assert_array_equal(stored, stored.astype(np.float16).astype(np.float32))


if __name__ == "__main__":
    unittest.main()

// SPDX-License-Identifier: BSD-3-Clause
// LLMC_WIDER_VECTORS before a function's definition: the same plain loops, compiled for wider vectors too
// and chosen when the program starts. Without contraction (-ffp-contract=off), and without sums across
// lanes, wider vectors change no bit. What the loops call must be inlined (LLMC_INLINE), or it stays as
// narrow as it was. Not under sanitizers: the choice is made before their run-time library is there, which it calls.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define LLMC_WIDER_VECTORS __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define LLMC_WIDER_VECTORS
#endif

#define LLMC_INLINE [[gnu::always_inline]] inline

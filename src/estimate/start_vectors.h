// SPDX-License-Identifier: BSD-3-Clause
// What the hidden vectors of a stack of layers begin as: rows of a table of tokens that are drawn as a vocabulary sorted
// by frequency would have them, or patches of noise pictures, or noise sounds through the convolutions of the model;
// and the positions that are added to them. The same bits on any CPU and any number of threads.
//
// Noise pictures have the same energy in each octave of sizes, from a pixel to the whole, as pictures of the world have
// (and spectra of speech, over time and pitch, roughly). What white noise would put into the embedding is nearly all in
// filters that no picture excites.
#pragma once

#include "estimate/linear_products.h"
#include "estimate/model_graph.h"
#include "estimate/noise_vectors.h"

namespace llmcodec {

// rows x cols values of mean square 1, in blocks of each power of two from 1 up to the larger side.
OwnedMatrix<float> draw_octaves(size_t rows, size_t cols, uint64_t seed);

// A column for each patch, rows colour by colour and line by line: 8 x 8 patches of `side` x `side` pixels are the
// picture of one sequence. Values as inputs have them, about -1 to 1. Colours differ little.
Vectors draw_patches(uint64_t colours, uint64_t side);

// A column for each moment, a row for each value of its spectrum, the same sizes.
Vectors draw_sound(uint64_t values);

// The hidden vectors before the norm of the embedding. Errors: those of reading.
Result<Vectors> start_vectors(const TensorSource& source, const ModelGraph& graph, LinearProducts* products);

}  // namespace llmcodec

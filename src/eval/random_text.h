// SPDX-License-Identifier: BSD-3-Clause
// Text that spells random tokens of a GGUF model's vocabulary, for tools that take text and no ids.
//
// Example (const GgufHeader& header):
//
//   LLMC_ASSIGN_OR_RETURN(std::vector<std::string> spellings, token_spellings(header));
//   LLMC_ASSIGN_OR_RETURN(std::string text, random_text(spellings, 8192));
//
// Tokenised again, such text is not the same list of ids: neighbours may merge.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "tensor/gguf.h"

namespace llmcodec {

// The bytes of a byte-level BPE token, each of which it spells as one character (GPT-2's table): printable
// Latin-1 characters stand for themselves, the 68 others are U+0100 and on, in order. Empty when `token`
// holds a character that stands for no byte.
std::string byte_level_bytes(std::string_view token);

// What each token of the vocabulary stands for in text, UTF-8; empty for those that cannot be written as
// text of their own: control, unknown, unused, byte and user-defined tokens, pieces of characters, zero
// bytes. Unsupported: no vocabulary, or one of a kind whose spelling is not known here (tokenizer.ggml.model
// other than gpt2, llama and t5).
Result<std::vector<std::string>> token_spellings(const GgufHeader& header);

// `count` tokens drawn independently, their spellings joined. The share of id i is proportional to
// 1 / (i + 500) (Zipf-Mandelbrot), 0 where its spelling is empty. The same on any machine. Unsupported when
// every spelling is empty.
Result<std::string> random_text(std::span<const std::string> spellings, size_t count);

}  // namespace llmcodec

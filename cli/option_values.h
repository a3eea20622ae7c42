// SPDX-License-Identifier: BSD-3-Clause
// Kinds of option values and how --help shows them. A wrong value is a usage error that
// names option and value.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace llmcodec::cli {

CLI::Validator positive_number();  // finite, > 0
CLI::Validator integer_between(int64_t least, int64_t most);
CLI::Validator byte_size();  // turns "2GB" into a number of bytes: use it with transform()

// An option that takes one of these words; help and completion list them.
CLI::Option* one_of(CLI::Option* option, const std::vector<std::string>& words);

// An option that takes one value each time it is given: `--keep A --keep B`.
CLI::Option* repeatable(CLI::Option* option);

// --help without the parser's notes on types and on what excludes what: groups say it in words.
class HelpFormat : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override;
};

}  // namespace llmcodec::cli

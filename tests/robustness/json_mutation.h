// SPDX-License-Identifier: BSD-3-Clause
// Seeded changes of one value of a JSON document: another type, an extreme number, a word of the format in a place where
// it does not belong, a member less.
#pragma once

#include <iterator>
#include <nlohmann/json.hpp>

#include "mutator.h"

namespace llmcodec {

template <class Json>
void replace_json(Json& value, Mutator& mutator) {
  static const char* const kTexts[] = {"",
                                       "spectral",
                                       "raw",
                                       "vvc",
                                       "vvc:lambda=2",
                                       "F64",
                                       "Q4_K",
                                       "dual",
                                       "group:0",
                                       "group:3",
                                       "tensor",
                                       "row",
                                       "col_scale",
                                       "verbatim",
                                       "h266",
                                       "\xc3\xa9",
                                       "llmcodec.gguf_header"};
  switch (mutator.number(7)) {
    case 0:
      value = mutator.extreme();
      break;
    case 1:
      value = kTexts[mutator.number(std::size(kTexts))];
      break;
    case 2:
      value = Json::array({1, 2, 3});
      break;
    case 3:
      value = nullptr;
      break;
    case 4:
      value = -1.5e300;
      break;
    case 5:
      value = mutator.number(100);
      break;
    default:
      if (value.is_number_unsigned())
        value =
            value.template get<uint64_t>() + (mutator.number(2) != 0 ? 1 : uint64_t{1} << mutator.number(50));
      break;
  }
}

template <class Json>
void change_json(Json& value, Mutator& mutator) {
  if (!value.is_structured() || value.empty() || mutator.number(8) == 0) return replace_json(value, mutator);
  auto member = value.begin();
  std::advance(member, mutator.number(static_cast<uint32_t>(value.size())));
  if (mutator.number(24) == 0) {
    value.erase(member);
  } else {
    change_json(*member, mutator);
  }
}

}  // namespace llmcodec

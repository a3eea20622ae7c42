// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/printable.h"
#include "llmcodec/bench.h"

namespace llmcodec {
namespace {

constexpr std::array kHeadings = {"codec",  "source",   "bpw",      "SNR dB",
                                  "gap dB", "enc Mw/s", "dec Mw/s", "note"};
using Line = std::array<std::string, kHeadings.size()>;

Line cells(const BenchRow& row) {
  const std::string codec = printable(row.codec), source = printable(row.source), note = printable(row.note);
  if (row.bpw == 0) return {codec, source, "-", "-", "-", "-", "-", note};
  return {codec,
          source,
          fmt::format("{:.3f}", row.bpw),
          fmt::format("{:.2f}", row.snr_db),
          fmt::format("{:.2f}", row.gap_db),
          fmt::format("{:.3g}", row.encode_mws),
          fmt::format("{:.3g}", row.decode_mws),
          note};
}

}  // namespace

std::string format_bench_table(const std::vector<BenchRow>& rows) {
  std::vector<Line> lines(1);
  std::copy(kHeadings.begin(), kHeadings.end(), lines[0].begin());
  for (const BenchRow& row : rows) lines.push_back(cells(row));
  std::string table;
  for (const Line& line : lines) {
    std::string text;
    for (size_t c = 0; c < line.size(); ++c) {
      size_t width = 0;
      for (const Line& other : lines) width = std::max(width, other[c].size());
      const bool is_text = c < 2 || c + 1 == line.size();  // numbers to the right
      text += is_text ? fmt::format("{:<{}}  ", line[c], width) : fmt::format("{:>{}}  ", line[c], width);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    table += text + "\n";
  }
  return table;
}

std::string format_bench_json(const std::vector<BenchRow>& rows) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const BenchRow& row : rows) {
    list.push_back({{"codec", row.codec},
                    {"source", row.source},
                    {"target_bpw", row.target_bpw},
                    {"bpw", row.bpw},
                    {"snr_db", row.snr_db},
                    {"gap_db", row.gap_db},
                    {"encode_mws", row.encode_mws},
                    {"decode_mws", row.decode_mws},
                    {"encode_seconds", row.encode_seconds},
                    {"decode_seconds", row.decode_seconds},
                    {"bit_depth", row.bit_depth},
                    {"quality", row.quality},
                    {"plane_scale", row.plane_scale},
                    {"weights", row.weights},
                    {"version", row.version},
                    {"note", row.note}});
  }
  // Notes carry other programs' words: bytes that are no UTF-8 are replaced, not thrown about.
  return list.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace llmcodec

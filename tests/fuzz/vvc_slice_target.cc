// SPDX-License-Identifier: BSD-3-Clause
// Slice data behind valid headers: the first eight bytes choose the headers (slice_choice.h), the rest goes
// to the arithmetic decoder: alone, and with its own tails beside it, which must give the same.
// Seeds: corpus/vvc_slice, made by vvc_fuzz_seeds.
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "fuzz_target.h"
#include "slice_choice.h"

namespace llmcodec {
namespace {

// A slice, the picture that it goes into, and what became of it.
struct Room {
  Room(vvc::PictureSize size, std::span<const std::byte> bytes)
      : data(bytes),
        map(size.width, size.height),
        picture(static_cast<uint32_t>(size.width), static_cast<uint32_t>(size.height)) {}
  std::span<const std::byte> data;
  vvc::CuMap map;
  Plane picture;
};

bool same_samples(PlaneView a, PlaneView b) {
  return std::equal(a.data, a.data + a.rows * a.cols, b.data);
}

uint64_t run(std::string_view input) {
  if (input.size() < vvc::kChoices) return 0;
  vvc::SliceJob job = vvc::job_from(reinterpret_cast<const uint8_t*>(input.data()));
  const std::vector<std::byte> copy = exact_copy(input.substr(vvc::kChoices));
  constexpr size_t kSlices = 5;
  std::vector<Room> alone, beside;
  for (size_t i = 0; i < kSlices; ++i) {
    const auto tail = std::span(copy).subspan(copy.size() * i / kSlices);
    alone.emplace_back(job.parameters.picture, tail);
    beside.emplace_back(job.parameters.picture, tail);
  }
  std::vector<vvc::SliceWork> work;
  for (Room& room : beside) {
    job.data = room.data;
    work.push_back({job, &room.map, room.picture.view(), Status::ok()});
  }
  vvc::decode_slices(work);
  for (size_t i = 0; i < kSlices; ++i) {
    job.data = alone[i].data;
    const Status status = vvc::decode_slice(job, alone[i].map, alone[i].picture.view());
    fuzz_check(status.is_ok() == work[i].status.is_ok() &&
                   same_samples(alone[i].picture.view(), beside[i].picture.view()),
               "a slice decodes alone as beside others");
  }
  return 2 * kSlices * sizeof(uint16_t) * static_cast<uint64_t>(job.parameters.picture.width) *
         static_cast<uint64_t>(job.parameters.picture.height);
}

}  // namespace

const FuzzTarget kVvcSliceTarget = {"vvc_slice", run, nullptr, nullptr};

}  // namespace llmcodec

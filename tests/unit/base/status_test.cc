// SPDX-License-Identifier: BSD-3-Clause
#include "llmcodec/status.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <set>
#include <string>

#include "base/error.h"

namespace llmcodec {
namespace {

TEST(Error, text_shows_the_context_that_is_known) {
  EXPECT_EQ(error(ErrorKind::kCorrupt, "bad {}", 7).to_string(), "bad 7");
  EXPECT_EQ(error(ErrorKind::kCorrupt, "bad").in_file("f").to_string(), "f: bad");
  EXPECT_EQ(error(ErrorKind::kCorrupt, "bad").at_offset(0).in_tensor("t").in_file("f").to_string(),
            "f: tensor 't': offset 0: bad");
}

TEST(Error, control_characters_of_names_do_not_reach_the_terminal) {
  EXPECT_EQ(error(ErrorKind::kCorrupt, "bad").in_tensor("a\n\x1b[31m\x7f\u00e9").to_string(),
            "tensor 'a\\x0a\\x1b[31m\\x7f\u00e9': bad");
}

TEST(Error, innermost_context_wins) {
  const Error e = error(ErrorKind::kIo, "x")
                      .in_file("inner")
                      .in_file("outer")
                      .in_tensor("a")
                      .in_tensor("b")
                      .at_offset(1)
                      .at_offset(2);
  EXPECT_EQ(e.to_string(), "inner: tensor 'a': offset 1: x");
}

TEST(Error, every_kind_has_its_own_name) {
  std::set<std::string> names;
  for (int kind = 0; kind <= static_cast<int>(ErrorKind::kInternal); ++kind)
    names.insert(error_kind_name(static_cast<ErrorKind>(kind)));
  EXPECT_EQ(names.size(), static_cast<size_t>(ErrorKind::kInternal) + 1);
}

TEST(Error, of_the_system_says_why) {
  errno = ENOENT;
  const Error e = errno_error("cannot open");
  EXPECT_EQ(e.kind, ErrorKind::kIo);
  EXPECT_EQ(e.message, "cannot open: No such file or directory");
}

Result<std::unique_ptr<int>> half(int value) {
  if (value % 2 != 0) return error(ErrorKind::kInvalidArgument, "{} is odd", value);
  return std::make_unique<int>(value / 2);
}

Status check_quarter(int value, int* out) {
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<int> first, half(value));
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<int> second, half(*first));
  *out = *second;
  return Status::ok();
}

Status check_twice(int value, int* out) {
  LLMC_RETURN_IF_ERROR(check_quarter(value, out));
  return check_quarter(value, out);
}

TEST(Status, macros_pass_values_and_errors_on) {
  int out = 0;
  EXPECT_TRUE(check_twice(12, &out).is_ok());
  EXPECT_EQ(out, 3);
  const Status status = check_twice(6, &out);
  ASSERT_FALSE(status.is_ok());
  EXPECT_EQ(status.error().message, "3 is odd");
  EXPECT_EQ(status.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(out, 3);
}

}  // namespace
}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
// The folders that the file in the root of a pipeline lists. What there is of a pipeline is found in its folders
// (pipeline_folder.h); the list is asked for one thing alone, whether a folder that holds an archive of this program is
// missed where the pipeline is loaded.
#pragma once

#include <set>
#include <string>

namespace llmcodec {

// Relative to `root`, which itself is "" where it is listed. Empty where no list can be read.
std::set<std::string> listed_parts(const std::string& root);

}  // namespace llmcodec

// SPDX-License-Identifier: BSD-3-Clause
// Which files of a model's folder go along with its archive, and what is said of the others.
#pragma once

#include <string>
#include <vector>

#include "tensor/model_source.h"

namespace llmcodec {

// Moves the files that were left out and match one of these regular expressions to those that are carried along.
// InvalidArgument for a broken expression, and for one that matches no file of the folder.
Status ask_to_carry(const std::vector<std::string>& patterns, Model* model);

// What was left out, and which weights are carried along as they are: empty when there are none.
std::vector<std::string> notes_on_files(const Model& model);

}  // namespace llmcodec

/* SPDX-License-Identifier: BSD-3-Clause */
/* The version, in this one place: CMake reads it from here. C and C++. */
#ifndef LLMCODEC_VERSION_H
#define LLMCODEC_VERSION_H

#define LLMCODEC_VERSION "0.1.0"

#endif

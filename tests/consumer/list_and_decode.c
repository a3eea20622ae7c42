/* SPDX-License-Identifier: BSD-3-Clause */
/* A program of somebody else's: lists an archive and decodes its first matrix as floats.
 * usage: list_and_decode ARCHIVE */
#include <llmcodec/llmcodec.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  llmcodec_archive* archive = NULL;
  llmcodec_error* error = NULL;
  llmcodec_tensor_info info = {.struct_size = sizeof info};
  llmcodec_decode_options options = {.struct_size = sizeof options, .dtype = "F32"};
  float* weights = NULL;
  if (argc == 2 && llmcodec_archive_open(argv[1], NULL, &archive, &error) == LLMCODEC_OK) {
    for (size_t i = 0; i < llmcodec_archive_tensor_count(archive) && error == NULL; ++i) {
      if (llmcodec_archive_tensor(archive, i, &info, &error) != LLMCODEC_OK) break;
      printf("%s %s %llu\n", info.name, info.dtype, (unsigned long long)info.elements);
      if (weights != NULL || info.rows == 0) continue;
      weights = malloc(info.elements * sizeof *weights);
      if (weights == NULL) break;
      if (llmcodec_archive_decode(archive, i, &options, weights, info.elements * sizeof *weights, &error) ==
          LLMCODEC_OK)
        printf("first weight %g\n", weights[0]);
    }
  }
  if (error != NULL) fprintf(stderr, "%s\n", llmcodec_error_text(error));
  const int failed = weights == NULL || error != NULL;
  free(weights);
  llmcodec_error_free(error);
  llmcodec_archive_close(archive);
  return failed;
}

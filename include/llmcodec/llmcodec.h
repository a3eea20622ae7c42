/* SPDX-License-Identifier: BSD-3-Clause */
/* LLMCodec for C, and for every language that calls C: language-model tensors stored as H.266 pictures.
 *
 *   llmcodec_archive* archive = NULL;
 *   llmcodec_error* error = NULL;
 *   size_t tensor = 0;
 *   if (llmcodec_archive_open("model.llmc.safetensors", NULL, &archive, &error) == LLMCODEC_OK &&
 *       llmcodec_archive_find(archive, "blk.0.ffn_up.weight", &tensor, &error) == LLMCODEC_OK)
 *     ... llmcodec_archive_decode(archive, tensor, NULL, weights, weights_size, &error) ...
 *   if (error != NULL) fprintf(stderr, "%s\n", llmcodec_error_text(error));
 *   llmcodec_error_free(error);
 *   llmcodec_archive_close(archive);
 *
 * Errors. Functions that can fail return LLMCODEC_OK or what went wrong, and take `llmcodec_error** error` last: NULL, or
 *   the address of a pointer that is NULL, which is then set to a description that the caller frees. No exception leaves
 *   the library, and nothing ends the process; memory that is not to be had is LLMCODEC_LIMIT.
 * Structs. Structs of options and of information begin with `struct_size`, which the caller sets to sizeof the struct, so
 *   that later versions can add members at the end. Clear the others: zero means the default of each. NULL in place of
 *   options means all defaults.
 * Ownership. What the caller passes is read during the call alone, unless it says otherwise. Strings that a handle gives
 *   belong to it and live as long. Text is UTF-8; paths are the system's bytes.
 * Threads. There is no global state. An archive may be used by any number of threads at once; a writer by one at a time.
 *   Callbacks come from any thread, several at a time only where it says so, and must not jump out (longjmp, throw).
 *   Calls with `threads` other than 1 use oneTBB's threads, never more than there are cores.
 * fork(). A child process may use an archive that its parent opened, if no call was at work in the parent when it forked,
 *   with `threads` = 1; then it starts no threads. Calls that run FFmpeg, for archives made with its encoders, start
 *   processes.
 *
 * Stability: until the library's SOVERSION is 1, a new minor version may change this interface (docs/library.md).
 */
#ifndef LLMCODEC_LLMCODEC_H
#define LLMCODEC_LLMCODEC_H

#include <stddef.h>
#include <stdint.h>

#include "llmcodec/version.h"

#if defined(__GNUC__)
#define LLMCODEC_API __attribute__((visibility("default")))
#else
#define LLMCODEC_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library that runs; LLMCODEC_VERSION is that of the header. */
LLMCODEC_API const char* llmcodec_version(void);

/* ---- errors ---- */

/* One kind per remedy. Values are stable. */
typedef enum llmcodec_status {
  LLMCODEC_OK = 0,
  LLMCODEC_IO = 1,      /* the system refused: missing file, no space; or the caller's read function did */
  LLMCODEC_CORRUPT = 2, /* the input breaks its own format */
  LLMCODEC_UNSUPPORTED = 3,      /* valid input that is not handled here, or a missing external program */
  LLMCODEC_INVALID_ARGUMENT = 4, /* the caller's options or values are wrong (NaN in a tensor included) */
  LLMCODEC_LIMIT = 5,            /* a stated limit on sizes or time was passed; no memory */
  LLMCODEC_INTERRUPTED = 6,      /* the caller's function `cancelled` said so */
  LLMCODEC_INTERNAL = 7          /* a mistake of the library */
} llmcodec_status;

typedef struct llmcodec_error llmcodec_error;
LLMCODEC_API llmcodec_status llmcodec_error_kind(const llmcodec_error* error);
/* "FILE: tensor 'NAME': offset N: MESSAGE", absent parts left out. */
LLMCODEC_API const char* llmcodec_error_text(const llmcodec_error* error);
/* The parts alone; "" where there is none, -1 for no offset (bytes from the start of the file). */
LLMCODEC_API const char* llmcodec_error_message(const llmcodec_error* error);
LLMCODEC_API const char* llmcodec_error_file(const llmcodec_error* error);
LLMCODEC_API const char* llmcodec_error_tensor(const llmcodec_error* error);
LLMCODEC_API int64_t llmcodec_error_offset(const llmcodec_error* error);
LLMCODEC_API void llmcodec_error_free(llmcodec_error* error); /* NULL is nothing */

/* ---- what calls that take long have in common ---- */

typedef struct llmcodec_control {
  size_t struct_size;
  unsigned threads; /* 0: one per core */
  /* For archives of FFmpeg's encoders: the program (NULL: $LLMCODEC_FFMPEG, then PATH), and the seconds that one run of
   * it may take (0: an hour). */
  const char* ffmpeg;
  double timeout_seconds;
  /* Told how far a phase is, in weights, by one thread at a time; NULL: nobody. */
  void (*progress)(void* user, const char* phase, uint64_t done, uint64_t total, const char* tensor);
  /* Asked between pictures by one thread at a time; other than 0 ends the call with LLMCODEC_INTERRUPTED. NULL: never. */
  int (*cancelled)(void* user);
  void* user; /* given to both */
} llmcodec_control;

/* ---- reading an archive ---- */

typedef struct llmcodec_archive llmcodec_archive;

/* `control`: its ffmpeg and timeout_seconds are for all calls on the archive, the rest is not looked at. */

/* A file, an index with its shards, or a folder that holds either. */
LLMCODEC_API llmcodec_status llmcodec_archive_open(const char* path, const llmcodec_control* control,
                                                   llmcodec_archive** archive, llmcodec_error** error);
/* An archive of one file in memory, which must stay as it is until llmcodec_archive_close(). No alignment is needed. */
LLMCODEC_API llmcodec_status llmcodec_archive_open_memory(const void* bytes, size_t size,
                                                          const llmcodec_control* control,
                                                          llmcodec_archive** archive, llmcodec_error** error);
/* Fills `out` with `size` bytes from `offset` on, which are inside the archive. 0 for success; anything else becomes
 * LLMCODEC_IO with that number. Called by several threads at a time. */
typedef int (*llmcodec_read_at)(void* user, uint64_t offset, void* out, size_t size);
/* An archive of one file of `size` bytes, wherever it is; `read` is called until llmcodec_archive_close(). */
LLMCODEC_API llmcodec_status llmcodec_archive_open_reader(llmcodec_read_at read, void* user, uint64_t size,
                                                          const llmcodec_control* control,
                                                          llmcodec_archive** archive, llmcodec_error** error);
/* After the last call on it has returned. NULL is nothing. */
LLMCODEC_API void llmcodec_archive_close(llmcodec_archive* archive);

LLMCODEC_API size_t llmcodec_archive_tensor_count(const llmcodec_archive* archive);

typedef struct llmcodec_tensor_info {
  size_t struct_size;
  const char* name;
  const char* dtype; /* in the model: "BF16", "Q4_K", ... */
  const char*
      decoded_dtype;     /* what decoding gives when none is asked for: dtype, "F16" for coded GGUF blocks */
  const uint64_t* shape; /* row-major, outermost first */
  size_t dimensions;
  uint64_t elements;
  uint64_t rows, cols;   /* of all its matrices, one below the other; 0 for a tensor that is no matrix */
  uint64_t stored_bytes; /* in the archive; 0 where an equal tensor is stored for it */
  int coded;             /* 0: stored exactly */
} llmcodec_tensor_info;

/* Tensor 0, ..., llmcodec_archive_tensor_count() - 1, sorted by name. */
LLMCODEC_API llmcodec_status llmcodec_archive_tensor(const llmcodec_archive* archive, size_t tensor,
                                                     llmcodec_tensor_info* info, llmcodec_error** error);
/* LLMCODEC_INVALID_ARGUMENT for a name that the archive has not. */
LLMCODEC_API llmcodec_status llmcodec_archive_find(const llmcodec_archive* archive, const char* name,
                                                   size_t* tensor, llmcodec_error** error);

typedef struct llmcodec_decode_options {
  size_t struct_size;
  /* "F32", "F16", "BF16", or any other floating-point type of safetensors, to which weights are rounded; finite ones stay
   * finite. NULL: the tensor's decoded_dtype. Tensors stored exactly, integers too, come back bit for bit in their own. */
  const char* dtype;
  unsigned threads;             /* 0: one per core; 1: only the caller's */
  int (*cancelled)(void* user); /* as in llmcodec_control */
  void* user;
} llmcodec_decode_options;

/* What llmcodec_archive_decode() writes for `dtype` (NULL as above). */
LLMCODEC_API llmcodec_status llmcodec_archive_byte_size(const llmcodec_archive* archive, size_t tensor,
                                                        const char* dtype, uint64_t* bytes,
                                                        llmcodec_error** error);
/* `out` has exactly llmcodec_archive_byte_size() bytes (else LLMCODEC_INVALID_ARGUMENT) and needs no alignment; after an
 * error its content is undefined. Reads only the bytes of this tensor, each once. What was decoded is checked segment by
 * segment, a tensor stored exactly as a whole: LLMCODEC_CORRUPT. */
LLMCODEC_API llmcodec_status llmcodec_archive_decode(const llmcodec_archive* archive, size_t tensor,
                                                     const llmcodec_decode_options* options, void* out,
                                                     size_t out_size, llmcodec_error** error);
/* Rows first, ..., last - 1 of a matrix, llmcodec_archive_byte_size() / rows bytes each. Only the pictures that hold them
 * are read and decoded (where a row is spread over several: those of its matrix). Rows of a tensor stored exactly are not
 * checked, since its checksum is over all of it. */
LLMCODEC_API llmcodec_status llmcodec_archive_decode_rows(const llmcodec_archive* archive, size_t tensor,
                                                          uint64_t first, uint64_t last,
                                                          const llmcodec_decode_options* options, void* out,
                                                          size_t out_size, llmcodec_error** error);

/* ---- whole models, as the program does it ---- */

/* Each call leaves either a complete output or none. `report`: NULL, or the address of a pointer that is set to the call's
 * report as JSON (docs/json.md), to be freed by llmcodec_string_free(). */

typedef enum llmcodec_target {
  LLMCODEC_TARGET_DEFAULT = 0, /* 3 bits per weight; for a lossless codec the step that clips nothing */
  LLMCODEC_TARGET_BPW = 1,     /* bits per weight: 8 * bytes of the whole archive / parameters of the model */
  LLMCODEC_TARGET_SIZE = 2,    /* bytes of the whole archive */
  LLMCODEC_TARGET_SNR = 3,     /* dB over all coded weights */
  LLMCODEC_TARGET_STEP = 4     /* quantiser step in units of the normalised weights */
} llmcodec_target;

/* docs/cli.md explains each under the name of the program's option. */
typedef struct llmcodec_compress_options {
  size_t struct_size;
  llmcodec_target target;
  double target_value;
  const char* codec;  /* NULL: "vvc" */
  const char* layout; /* NULL: "auto" */
  const char* scales; /* NULL: "auto" */
  int asymmetric;
  uint32_t bit_depth;
  const char* const* set; /* rules 'REGEX=key:value', in order */
  size_t set_count;
  const char* const* keep; /* regular expressions of tensors stored exactly */
  size_t keep_count;
  const char* plan; /* file of a plan */
  const char*
      importance; /* llama.cpp's imatrix file; NULL: estimated where the model's family is known; "none" */
  const char* hessian;  /* file of second moments */
  uint64_t shard_bytes; /* largest shard; 0: one file */
  int restart;          /* throw an interrupted run away instead of going on with it */
  const char* command;  /* recorded in the archive */
  const llmcodec_control* control;
  const char* const*
      code; /* regular expressions of tensors coded though they are stored exactly by default */
  size_t code_count;
  const char* const*
      carry; /* regular expressions of files of a model's folder that are carried along though left out by default */
  size_t carry_count;
} llmcodec_compress_options;

/* `input`: GGUF, safetensors, an index, a Hugging Face folder, or the folder of a pipeline. `output`: a file; a folder for folders and shards. */
LLMCODEC_API llmcodec_status llmcodec_compress(const char* input, const char* output,
                                               const llmcodec_compress_options* options, char** report,
                                               llmcodec_error** error);

typedef struct llmcodec_decompress_options {
  size_t struct_size;
  const char* dtype;  /* "f32", "f16", "bf16", "q8_0"; NULL: each tensor's own, F16 for GGUF block types */
  const char* format; /* "safetensors", "gguf"; NULL: that of the source */
  /* Of a file's tensors; 0: 5,000,000,000 in a folder, as Hugging Face writes it, and a GGUF model in one file. */
  uint64_t shard_bytes;
  const llmcodec_control* control;
  int as_source; /* what the source had as FP8 codes with scales comes back as such; LLMCODEC_INVALID_ARGUMENT together with
                  * `dtype`, and for a source that was not quantised */
  int saturate; /* weights that `dtype` cannot hold become its largest; else they are an error */
} llmcodec_decompress_options;

LLMCODEC_API llmcodec_status llmcodec_decompress(const char* input, const char* output,
                                                 const llmcodec_decompress_options* options, char** report,
                                                 llmcodec_error** error);

typedef struct llmcodec_verify_options {
  size_t struct_size;
  const char* against; /* the original model, to measure the error; NULL: checksums only */
  const llmcodec_control* control;
} llmcodec_verify_options;

/* Checks all checksums and decodes everything. */
LLMCODEC_API llmcodec_status llmcodec_verify(const char* input, const llmcodec_verify_options* options,
                                             char** report, llmcodec_error** error);

LLMCODEC_API void llmcodec_string_free(char* text); /* NULL is nothing */

/* ---- writing an archive of tensors that are in no file ---- */

/* All tensors are announced first. Then either llmcodec_writer_finish() reads them through a function of the caller's, as
 * often as it needs, or the caller pushes their bytes, each once, where all steps are given. */

typedef struct llmcodec_writer llmcodec_writer;

/* Nothing is written before llmcodec_writer_push() or llmcodec_writer_finish(). `options` is copied; the functions of its
 * control are called until llmcodec_writer_close(), its `restart` is not looked at. */
LLMCODEC_API llmcodec_status llmcodec_writer_open(const char* output,
                                                  const llmcodec_compress_options* options,
                                                  llmcodec_writer** writer, llmcodec_error** error);
/* Announces a tensor: a dtype of safetensors ("F32", "BF16", "I64", ...), its shape, outermost first (0 dimensions: a
 * scalar). LLMCODEC_INVALID_ARGUMENT for a name that was added before, and after the first push. */
LLMCODEC_API llmcodec_status llmcodec_writer_add(llmcodec_writer* writer, const char* name, const char* dtype,
                                                 const uint64_t* shape, size_t dimensions,
                                                 llmcodec_error** error);
/* An entry of the safetensors metadata that the restored file will have, such as "format": "pt". Before anything is given;
 * LLMCODEC_INVALID_ARGUMENT for a key that was added before. */
LLMCODEC_API llmcodec_status llmcodec_writer_add_metadata(llmcodec_writer* writer, const char* key,
                                                          const char* value, llmcodec_error** error);
/* Fills `out` with `size` bytes of a tensor (its number in the order of llmcodec_writer_add()) from `offset` on. It must
 * give the same bytes for the same range each time: weights are read for their scales and for the rate before they are
 * coded. 0 for success; anything else becomes LLMCODEC_IO with that number. Called by several threads at a time. */
typedef int (*llmcodec_tensor_read)(void* user, size_t tensor, uint64_t offset, void* out, size_t size);
/* The next `size` bytes of a tensor (its number as above). Tensors are pushed in the order of llmcodec_writer_add(), each in
 * as many pieces as the caller likes and complete before the next; one without elements needs no call. The call that
 * completes a tensor codes and writes it, and the writer then keeps nothing of it, but for tensors that are stored
 * exactly and have no multiple of 8 bytes. Only with LLMCODEC_TARGET_STEP or a plan, because every other target is searched
 * for in weights that can be read again (LLMCODEC_INVALID_ARGUMENT). What layers' inputs and outputs are like is taken
 * from `importance` and `hessian` alone. After an error nothing is left, and the writer can only be closed. */
LLMCODEC_API llmcodec_status llmcodec_writer_push(llmcodec_writer* writer, size_t tensor, const void* bytes,
                                                  size_t size, llmcodec_error** error);
/* Codes all tensors and writes the archive; after pushing, `read` is NULL and everything must have been pushed. Once; the
 * writer can then only be closed. */
LLMCODEC_API llmcodec_status llmcodec_writer_finish(llmcodec_writer* writer, llmcodec_tensor_read read,
                                                    void* user, char** report, llmcodec_error** error);
/* NULL is nothing. */
LLMCODEC_API void llmcodec_writer_close(llmcodec_writer* writer);

#ifdef __cplusplus
}
#endif

#endif

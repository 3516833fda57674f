/* weft for C, and for every language that can call C.
 *
 *   weft_error error;
 *   weft_model* model;
 *   weft_session* session;
 *   if (weft_model_load("stories260K.gguf", NULL, &model, &error) != WEFT_OK ||
 *       weft_session_new(model, NULL, &session, &error) != WEFT_OK)
 *     show(error.message);
 *
 * Language models; weft_graph.h has any graph. Rules that hold for both:
 *
 * Errors. Functions that can fail return a weft_code and, where `error` is not
 * NULL, leave the code and a text there. Their other results are set only on
 * WEFT_OK. Nothing aborts, exits, prints or throws, and there is no global
 * state.
 *
 * Ownership. weft_X_new and weft_X_load make a handle, weft_X_free destroys it;
 * NULL is fine there. A session keeps its model alive, so they may be freed in
 * any order. Pointers that come out of a handle say how long they are valid.
 *
 * Threads. A model may be used by any number of threads at once. A session and
 * a sampler are used by one thread at a time (which one does not matter),
 * except for weft_session_cancel. Handles are independent of each other.
 *
 * Options structs begin with their size, so that a program and a library of
 * different age understand each other: weft_session_options o = {sizeof o}; All
 * other fields 0 or NULL means the default. Structs, and the texts and arrays
 * that they point to, are read during the call and not kept. Functions of the
 * caller are kept, with their user pointers, by a session: `allocate`, `release`
 * and `run` are called until it is freed. All others (`progress`, `read`) are
 * called during the call that takes them, and on its thread.
 *
 * Buffers. Functions that write text or tokens take a capacity, write at most
 * so much and set the length that there is in all, as snprintf does: call again
 * with more room where that is larger. Texts are UTF-8; where there is room for
 * it, a NUL follows.
 */
#ifndef WEFT_MODELS_C_API_WEFT_H_
#define WEFT_MODELS_C_API_WEFT_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Changes when a program that was compiled before would no longer work. */
#define WEFT_ABI_VERSION 1
uint32_t weft_abi_version(void); /* of the library */
const char* weft_version(void);  /* "0.1.0"; static */

/* ---- Errors ---- */

/* The numbers of gRPC's and Abseil's canonical codes. */
typedef int32_t weft_code;
enum {
  WEFT_OK = 0,
  WEFT_CANCELLED = 1,
  WEFT_UNKNOWN = 2,
  WEFT_INVALID_ARGUMENT = 3,
  WEFT_NOT_FOUND = 5,
  WEFT_ALREADY_EXISTS = 6,
  WEFT_PERMISSION_DENIED = 7,
  WEFT_RESOURCE_EXHAUSTED = 8, /* memory, threads, the context, a limit */
  WEFT_FAILED_PRECONDITION = 9,
  WEFT_OUT_OF_RANGE = 11,
  WEFT_UNIMPLEMENTED = 12,
  WEFT_INTERNAL = 13,
  WEFT_DATA_LOSS = 15
};

typedef struct weft_error { /* What went wrong. */
  weft_code code;
  char message[1020]; /* cut off where it is longer */
} weft_error;

/* "RESOURCE_EXHAUSTED"; static. */
const char* weft_code_name(weft_code code);

/* ---- Models ---- */

typedef struct weft_model weft_model;

/* Called now and then by the thread that waits; not 0 cancels what it waits for,
 * which then ends with WEFT_CANCELLED within a few milliseconds; a load that
 * touches pages of a mapping, when the system has taken these back. */
typedef int (*weft_progress)(void* user, int64_t done, int64_t total);

typedef struct weft_model_options { /* What is made of a file. */
  size_t size;
  int read_into_memory; /* copy the files instead of mapping them */
  int no_tokenizer;     /* for callers that have tokens */
  /* In thousandths of what is copied or, of a file that is mapped, of its pages,
   * all of which are touched now then. */
  weft_progress progress;
  void* progress_user;
  /* LoRA adapters in GGUF form, in the order in which they are applied, and
   * their scales; NULL: each 1. */
  const char* const* adapters;
  const float* adapter_scales;
  size_t adapter_count;
  /* Memory that copies of files may take in all (read_into_memory, callbacks),
   * else WEFT_RESOURCE_EXHAUSTED before it is taken; 0: no limit. */
  int64_t max_bytes;
} weft_model_options;

/* A GGUF file, any file of a model in several, or a directory of safetensors. */
weft_code weft_model_load(const char* path, const weft_model_options* options,
                          weft_model** model, weft_error* error);
/* The bytes stay where they are until the model and its sessions are freed.
 * `name` stands for them in messages. */
weft_code weft_model_load_memory(const void* bytes, size_t size,
                                 const char* name,
                                 const weft_model_options* options,
                                 weft_model** model, weft_error* error);
/* The descriptor may be closed afterwards. */
weft_code weft_model_load_descriptor(int fd, const char* name,
                                     const weft_model_options* options,
                                     weft_model** model, weft_error* error);
/* `read` fills `into` with the bytes from `offset` on and returns 0; called for
 * at most 4 MiB at once, in order. They are kept in memory. */
typedef int (*weft_read)(void* user, uint64_t offset, void* into, size_t size);
weft_code weft_model_load_callback(weft_read read, void* user, uint64_t size,
                                   const char* name,
                                   const weft_model_options* options,
                                   weft_model** model, weft_error* error);
void weft_model_free(weft_model* model); /* may be NULL */

int64_t weft_model_vocab_size(const weft_model* model);
/* Positions that it was trained for; 0 when the file does not say. */
int64_t weft_model_trained_context(const weft_model* model);
/* "llama"; valid as long as the model. */
const char* weft_model_architecture(const weft_model* model);

/* ---- Text ---- */

enum {
  WEFT_ADD_SPECIAL = 1,   /* BOS and EOS as the model asks */
  WEFT_PARSE_SPECIAL = 2, /* recognise control tokens: never in a user's text */
  WEFT_SHOW_SPECIAL = 4   /* when detokenizing */
};
weft_code weft_tokenize(const weft_model* model, const char* text, size_t size,
                        int flags, int32_t* tokens, size_t capacity,
                        size_t* count, weft_error* error);
weft_code weft_detokenize(const weft_model* model, const int32_t* tokens,
                          size_t count, int flags, char* text, size_t capacity,
                          size_t* size, weft_error* error);
/* The bytes of one token after others: they may be part of a character. */
weft_code weft_token_piece(const weft_model* model, int32_t token, int flags,
                           char* text, size_t capacity, size_t* size,
                           weft_error* error);
/* 1 for tokens that end a text. */
int weft_token_is_end(const weft_model* model, int32_t token);

typedef struct weft_chat_message { /* One turn of a conversation. */
  const char* role; /* "system", "user", "assistant" */
  const char* content;
} weft_chat_message;
/* A conversation by the model's template, up to where the assistant goes on; to
 * be tokenized with WEFT_PARSE_SPECIAL. */
weft_code weft_chat(const weft_model* model, const weft_chat_message* messages,
                    size_t count, char* text, size_t capacity, size_t* size,
                    weft_error* error);

/* ---- Sessions ---- */

typedef struct weft_session weft_session;

typedef struct weft_session_options { /* The size and kind of a session. */
  size_t size;
  int64_t context; /* positions of each slot; 0: the model's, at most 4096 */
  int64_t batch;   /* tokens of the largest step; 0: 512 */
  int64_t logits_rows; /* rows of logits that one step can give; 0: 1 */
  int64_t max_bytes;   /* that the session and its pack_weights may take together,
                          else WEFT_RESOURCE_EXHAUSTED; 0: no limit */
  int32_t slots;       /* sequences side by side; 0: 1 */
  int32_t threads;     /* the caller's included; 0: one per core */
  int exact;           /* f32 activations instead of 8 bits */
  int embeddings;      /* rows are hidden states, for weft_embed */
  const char* kv_k;    /* "f16", "q8_0", ...; NULL: f16 */
  const char* kv_v;
  const char* backend; /* NULL: "cpu" */
  const char* target;  /* highest instruction set; NULL: the best there is */
  /* Memory for caches and activations: zeroed or not, aligned. Both or none. */
  void* (*allocate)(void* user, size_t bytes, size_t alignment);
  void (*release)(void* user, void* memory, size_t bytes);
  void* memory_user;
  /* The host's threads: calls task(context, i) for each i below count, on any
   * threads, and returns when all have returned. NULL: threads of weft's own.
   */
  void (*run)(void* user, int count, void (*task)(void* context, int i),
              void* context);
  void* run_user;
  /* Keep a copy of the weights, shared by the model's sessions, from which tokens
   * are made up to twice as fast; results keep their bits, but for f16 and bf16
   * on CPUs with AMX: sums are added up in another order, and with f16 of 16 bits
   * of each activation. */
  int pack_weights;
  /* A folder for a file that keeps that copy for the next start, made where it
   * does not exist; NULL: none. */
  const char* pack_cache;
  /* While weights are packed, in thousandths. A session that is cancelled leaves
   * nothing behind, no part of a file in pack_cache either. */
  weft_progress packing_progress;
  void* packing_user;
} weft_session_options;

weft_code weft_session_new(const weft_model* model,
                           const weft_session_options* options,
                           weft_session** session, weft_error* error);
void weft_session_free(weft_session* session); /* may be NULL */
/* Why pack_cache could not be written, which does the session no harm, or
 * WEFT_OK. */
weft_code weft_session_pack_cache(const weft_session* session,
                                  weft_error* error);

/* Floats of a row that weft_prefill, weft_decode and weft_step give: the
 * vocabulary, or the width of a hidden state where `embeddings` is set. */
int64_t weft_session_row_size(const weft_session* session);

/* Bytes that such a session would take, without taking them: as max_bytes they
 * are enough. The copy of pack_weights is among them, which a session does not
 * take that finds it made. */
weft_code weft_session_estimate(const weft_model* model,
                                const weft_session_options* options,
                                int64_t* bytes, weft_error* error);

/* A row f32[weft_session_row_size]: the last token's logits (or hidden state),
 * valid until the next call for the session. `progress` is told of tokens, after
 * each chunk; not 0 cancels what is left. After an error a sequence is as it was
 * before the chunk that failed. */
weft_code weft_prefill(weft_session* session, int32_t slot,
                       const int32_t* tokens, size_t count,
                       weft_progress progress, void* progress_user,
                       const float** logits, weft_error* error);
weft_code weft_decode(weft_session* session, int32_t slot, int32_t token,
                      const float** logits, weft_error* error);

typedef struct weft_step_token { /* One token of a step. */
  int32_t token;
  int32_t slot;
  int32_t want_logits;
} weft_step_token;
/* Tokens of any slots, at most `batch`, in one step; `logits` has a row of
 * weft_session_row_size for each that wants one. Allocates nothing, and neither
 * does weft_decode. */
weft_code weft_step(weft_session* session, const weft_step_token* tokens,
                    size_t count, const float** logits, size_t* rows,
                    weft_error* error);

/* From any thread: ends the weft_prefill, weft_decode, weft_step or weft_embed
 * that runs, or the next one if none does, with WEFT_CANCELLED within a few
 * milliseconds; on the backend "reference" a node is run to its end. The session
 * goes on afterwards. */
void weft_session_cancel(weft_session* session);

/* Tokens of a slot's sequence; 0 for a slot that does not exist. */
int64_t weft_session_position(const weft_session* session, int32_t slot);
/* Forgets what lies from `position` on, or all where the architecture does not
 * rewind; the position that is left. Changes nothing where `position` is not
 * before the end, and gives 0 for a slot that does not exist. */
int64_t weft_session_truncate(weft_session* session, int32_t slot,
                              int64_t position);
/* Makes slot `to` go on from the tokens of `from`, each for itself; they share
 * the memory of what they have in common. */
weft_code weft_session_fork(weft_session* session, int32_t from, int32_t to,
                            weft_error* error);

/* A slot's sequence as bytes: `size` of them have to be had. */
size_t weft_session_state_size(const weft_session* session, int32_t slot);
weft_code weft_session_save(const weft_session* session, int32_t slot,
                            void* bytes, size_t size, weft_error* error);
/* Refuses what is cut off, damaged or of another model; the slot is then as it
 * was. */
weft_code weft_session_restore(weft_session* session, int32_t slot,
                               const void* bytes, size_t size,
                               weft_error* error);

/* One vector for a text, of length 1, from a session with `embeddings`; the text
 * replaces slot 0's sequence, which is empty after an error. With room for less
 * than weft_session_row_size floats nothing is computed or written: only `size`
 * is set, to that. */
weft_code weft_embed(weft_session* session, const int32_t* tokens, size_t count,
                     float* vector, size_t capacity, size_t* size,
                     weft_error* error);

/* ---- What runs ---- */

/* The graph after all passes, a line per node, and what was fused. */
weft_code weft_session_graph(const weft_session* session, char* text,
                             size_t capacity, size_t* size, weft_error* error);
weft_code weft_session_fusion_report(const weft_session* session, char* text,
                                     size_t capacity, size_t* size,
                                     weft_error* error);

typedef struct weft_tensor { /* A tensor in memory. */
  const void* data;
  size_t bytes;
  const char* dtype; /* "f32"; static */
  int32_t rank;
  int64_t dims[5]; /* slowest first, symbols at their bounds */
} weft_tensor;
/* What the last step left in an output of the graph ("logits"), valid until the
 * next call for the session. */
weft_code weft_session_output(const weft_session* session, const char* name,
                              weft_tensor* tensor, weft_error* error);

/* ---- Samplers ---- */

typedef struct weft_sampler weft_sampler;

/* How a token is chosen: llama.cpp's steps, with its names, meanings and order.
 * Ranges and sources stand in models/sampler_options.h. Fill it by
 * weft_sampler_defaults, since 0 says something here (temperature 0: the best
 * token). */
typedef struct weft_sampler_options {
  size_t size;
  float temperature;
  int32_t top_k;
  float top_p;
  float min_p;
  float repeat_penalty;
  int32_t repeat_last_n;
  uint64_t seed;
  float presence_penalty;
  float frequency_penalty;
  float typical_p;
  float top_n_sigma;
  float xtc_probability;
  float xtc_threshold;
  float dynatemp_range;
  float dynatemp_exponent;
  float dry_multiplier; /* breakers of sequences: \n : " * */
  float dry_base;
  int32_t dry_allowed_length;
  int32_t dry_penalty_last_n;
  int32_t mirostat;
  float mirostat_tau;
  float mirostat_eta;
  const char* chain;       /* "penalties;top_k;temperature"; NULL: all steps */
  const char* logit_bias;  /* "15043+1.5,29871-inf": ids and what is added */
  const char* grammar;     /* GBNF that the text has to keep to */
  const char* json_schema; /* the same as a JSON schema; one of the two */
  /* Whose tokens are sampled: needed by grammar, json_schema, logit_bias and
   * dry. May be freed before the sampler. */
  const weft_model* model;
} weft_sampler_options;
void weft_sampler_defaults(weft_sampler_options* options, size_t size);

/* NULL: the defaults. Copies what the options point to. */
weft_code weft_sampler_new(const weft_sampler_options* options,
                           weft_sampler** sampler, weft_error* error);
void weft_sampler_free(weft_sampler* sampler); /* may be NULL */
/* Draws a token; accept says which one was taken. */
weft_code weft_sampler_sample(weft_sampler* sampler, const float* logits,
                              size_t count, int32_t* token, weft_error* error);
/* Tells what the text went on with, for the penalties and the grammar. */
weft_code weft_sampler_accept(weft_sampler* sampler, int32_t token,
                              weft_error* error);
/* Tells what stands before the text (the prompt), for the penalties. */
weft_code weft_sampler_observe(weft_sampler* sampler, const int32_t* tokens,
                               size_t count, weft_error* error);
/* Forgets all tokens, begins the grammar anew and starts again from the seed. */
weft_code weft_sampler_reset(weft_sampler* sampler, weft_error* error);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* WEFT_MODELS_C_API_WEFT_H_ */

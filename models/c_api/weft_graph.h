/* Any graph from C: built value by value, compiled once, run with the caller's
 * buffers. The rules of weft.h hold here too.
 *
 *   weft_graph* g;
 *   weft_graph_new(&g, &error);
 *   const weft_dim in[] = {{32, "N"}, {64, NULL}};
 *   const weft_dim w[] = {{10, NULL}, {64, NULL}};
 *   const weft_value both[] = {weft_graph_input(g, "x", "f32", in, 2),
 *                              weft_graph_weight(g, "w", "f32", w, 2)};
 *   weft_graph_output(g, "y", weft_graph_op(g, "linear", both, 2));
 *   weft_runner_new(g, &options, &runner, &error);
 *
 * Shapes and values are row-major, the slowest dimension first.
 *
 * Functions that build a graph give no code: the first error sticks to the
 * graph and comes out of weft_runner_new, and a value below 0, which stands for
 * an error, may go on through all of them.
 */
#ifndef WEFT_MODELS_C_API_WEFT_GRAPH_H_
#define WEFT_MODELS_C_API_WEFT_GRAPH_H_

#include "models/c_api/weft.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Building ---- */

/* Built by one thread at a time. */
typedef struct weft_graph weft_graph;
/* A tensor of a graph: valid as long as it, and in it alone. */
typedef int32_t weft_value;

weft_code weft_graph_new(weft_graph** graph, weft_error* error);
void weft_graph_free(weft_graph* graph); /* may be NULL */

typedef struct weft_dim { /* A dimension. */
  int64_t size;
  /* A dimension whose size each step's inputs give, up to `size`: at most 7
   * characters; NULL: always `size`. */
  const char* symbol;
} weft_dim;

/* A tensor that each step gives, one that the weights hold, and one that is kept
 * between steps, zero at first. `dtype`: "f32", "i32", and for weights every
 * format of files, as "q4_k". At most 5 dims. */
weft_value weft_graph_input(weft_graph* graph, const char* name,
                            const char* dtype, const weft_dim* dims,
                            int32_t rank);
weft_value weft_graph_weight(weft_graph* graph, const char* name,
                             const char* dtype, const weft_dim* dims,
                             int32_t rank);
weft_value weft_graph_state(weft_graph* graph, const char* name,
                            const char* dtype, const weft_dim* dims,
                            int32_t rank);
/* f32 values that are copied. */
weft_value weft_graph_constant(weft_graph* graph, const float* values,
                               const int64_t* dims, int32_t rank);

/* An op that takes values alone:
 *   add sub mul div        of two, which broadcast as in NumPy
 *   relu silu gelu gelu_tanh gelu_quick sigmoid tanh exp sqrt
 *   linear                 x [..., K], w [N, K] of any format -> [..., N]
 *   matmul                 [..., M, K], [..., K, N] -> [..., M, N]
 *   transpose              swaps the two fastest dimensions
 *   dequant                any format -> f32
 *   softmax                over the fastest dimension
 *   gather_rows            table [N, ...], ids i32[T] -> [T, ...]
 *   assign                 makes the second value the content of the state that
 *                          the first is, and gives it
 */
weft_value weft_graph_op(weft_graph* graph, const char* op,
                         const weft_value* values, size_t count);

/* x * factor. */
weft_value weft_graph_scale(weft_graph* graph, weft_value x, double factor);
/* x / sqrt(mean of squares + eps), and (x - mean) / sqrt(variance + eps), over
 * the fastest dimension. */
weft_value weft_graph_rms_norm(weft_graph* graph, weft_value x, double eps);
weft_value weft_graph_layer_norm(weft_graph* graph, weft_value x, double eps);
weft_value weft_graph_reshape(weft_graph* graph, weft_value x,
                              const weft_dim* dims, int32_t rank);
/* Dimension i of the result is dimension order[i] of x. */
weft_value weft_graph_permute(weft_graph* graph, weft_value x,
                              const int64_t* order, int32_t rank);
/* Elements [begin, end) of a dimension; a negative axis counts from the end. */
weft_value weft_graph_slice(weft_graph* graph, weft_value x, int32_t axis,
                            int64_t begin, int64_t end);
weft_value weft_graph_concat(weft_graph* graph, const weft_value* values,
                             size_t count, int32_t axis);
/* Attention of q [T, H, D] over k [N, G, D] and v [N, G, E] -> [T, H, E]; head h
 * reads group h / (H / G). Scores are multiplied by `scale`. With `positions`
 * i32[T], query t sees keys 0 .. positions[t]; NULL: it sees all. */
weft_value weft_graph_attend(weft_graph* graph, weft_value q, weft_value k,
                             weft_value v, double scale,
                             const weft_value* positions);

/* Makes a value a result of each step. */
void weft_graph_output(weft_graph* graph, const char* name, weft_value value);

/* ---- Running ---- */

typedef struct weft_runner weft_runner;

/* A weight, row-major in the layout of its dtype, at a multiple of 4 bytes; it
 * stays there until the runner is freed. */
typedef struct weft_named_weight {
  const char* name;
  const void* data;
  size_t bytes;
} weft_named_weight;

typedef struct weft_runner_options { /* How a graph is compiled. */
  size_t size;
  /* Where weights come from: a GGUF file, or memory. */
  const char* weights_path;
  const weft_named_weight* weights;
  size_t weight_count;
  int64_t max_bytes;   /* that the runner may take; 0: no limit */
  int32_t threads;     /* the caller's included; 0: one per core */
  int fast;            /* activations may be rounded to 8 bits */
  const char* backend; /* NULL: "cpu" */
  const char* target;  /* highest instruction set; NULL: the best there is */
} weft_runner_options;

/* Optimizes the graph and binds it to its weights. Takes what `graph` holds, on
 * an error too: it can only be freed afterwards. */
weft_code weft_runner_new(weft_graph* graph, const weft_runner_options* options,
                          weft_runner** runner, weft_error* error);
void weft_runner_free(weft_runner* runner); /* may be NULL */

/* Where an output goes. */
typedef struct weft_buffer {
  void* data; /* NULL: not wanted */
  size_t bytes;
} weft_buffer;
/* One step: inputs in the order in which they were made, outputs in that of
 * weft_graph_output; the last ones may be left out. `dtype` of an input may be
 * NULL. Used by one thread at a time. Allocates nothing. */
weft_code weft_runner_run(weft_runner* runner, const weft_tensor* inputs,
                          size_t input_count, const weft_buffer* outputs,
                          size_t output_count, weft_error* error);
/* From any thread: ends the weft_runner_run that runs, or the next one. */
void weft_runner_cancel(weft_runner* runner);
/* Makes all states zero. */
void weft_runner_reset(weft_runner* runner);

/* The graph after all passes, a line per node, and what was fused. */
weft_code weft_runner_graph(const weft_runner* runner, char* text,
                            size_t capacity, size_t* size, weft_error* error);
weft_code weft_runner_fusion_report(const weft_runner* runner, char* text,
                                    size_t capacity, size_t* size,
                                    weft_error* error);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* WEFT_MODELS_C_API_WEFT_GRAPH_H_ */

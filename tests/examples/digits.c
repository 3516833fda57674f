/* The plain network of digits.cc, in C: the graph, its weights and the pictures
 * as tensors.
 *
 *   digits_c digits.gguf < digits.txt
 */
#include <stdio.h>
#include <string.h>

#include <weft/weft_graph.h>

enum { kPixels = 64, kHidden = 24, kDigits = 10, kMost = 32 };

/* x w^T + b for the weights NAME.weight [n, k] and NAME.bias [n]. */
static weft_value Layer(weft_graph* g, weft_value x, const char* name,
                        int64_t n, int64_t k) {
  const weft_dim dims[] = {{n, NULL}, {k, NULL}};
  weft_value both[2];
  char text[64];
  both[0] = x;
  snprintf(text, sizeof text, "%s.weight", name);
  both[1] = weft_graph_weight(g, text, "f32", dims, 2);
  both[0] = weft_graph_op(g, "linear", both, 2);
  snprintf(text, sizeof text, "%s.bias", name);
  both[1] = weft_graph_weight(g, text, "f32", dims, 1);
  return weft_graph_op(g, "add", both, 2);
}

static void Build(weft_graph* g) {
  const weft_dim dims[] = {{kMost, "N"}, {kPixels, NULL}};
  const weft_value x = weft_graph_input(g, "pixels", "f32", dims, 2);
  weft_value h = Layer(g, x, "hidden", kHidden, kPixels);
  h = weft_graph_op(g, "relu", &h, 1);
  weft_graph_output(g, "scores", Layer(g, h, "output", kDigits, kHidden));
}

/* Up to kMost pictures of 8 lines of 8 characters; how many. */
static int64_t ReadPictures(float* pixels) {
  char line[128];
  int64_t n = 0;
  while (n < kMost * kPixels && fgets(line, sizeof line, stdin) != NULL) {
    const size_t length = strcspn(line, "\n");
    if (length == 0) continue;
    for (size_t i = 0; i < 8; ++i)
      pixels[n++] = i < length && line[i] == '#' ? 1.0f : 0.0f;
  }
  return n / kPixels;
}

static weft_code Classify(weft_runner* runner, weft_error* error) {
  static float pixels[kMost * kPixels], scores[kMost * kDigits];
  const int64_t n = ReadPictures(pixels);
  const weft_tensor in = {
      pixels, (size_t)n * kPixels * sizeof(float), "f32", 2, {n, kPixels}};
  const weft_buffer out = {scores, sizeof scores};
  const weft_code code = weft_runner_run(runner, &in, 1, &out, 1, error);
  for (int64_t i = 0; i < n && code == WEFT_OK; ++i) {
    const float* row = scores + i * kDigits;
    int best = 0;
    for (int d = 1; d < kDigits; ++d)
      if (row[d] > row[best]) best = d;
    printf("%d\n", best);
  }
  return code;
}

int main(int argc, char** argv) {
  weft_error error;
  weft_graph* graph = NULL;
  weft_runner* runner = NULL;
  weft_runner_options options = {.size = sizeof options};
  weft_code code;
  if (argc != 2) {
    fprintf(stderr, "usage: digits_c WEIGHTS.gguf < PICTURES\n");
    return 2;
  }
  options.weights_path = argv[1];
  code = weft_graph_new(&graph, &error);
  if (code == WEFT_OK) {
    Build(graph);
    code = weft_runner_new(graph, &options, &runner, &error);
  }
  if (code == WEFT_OK) code = Classify(runner, &error);
  weft_runner_free(runner);
  weft_graph_free(graph);
  if (code == WEFT_OK) return 0;
  fprintf(stderr, "digits_c: %s: %s\n", weft_code_name(code), error.message);
  return 1;
}

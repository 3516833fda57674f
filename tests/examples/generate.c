/* Text from a model, in C: generate_c MODEL.gguf "Once upon a time" */
#include <stdio.h>
#include <string.h>

#include <weft/weft.h>

enum { kTokens = 40, kRoom = 4096 };

static int Fail(const weft_error* error) {
  fprintf(stderr, "generate_c: %s: %s\n", weft_code_name(error->code),
          error->message);
  return 1;
}

static weft_code Generate(const weft_model* model, weft_session* session,
                          weft_sampler* sampler, const char* prompt,
                          weft_error* error) {
  int32_t tokens[kRoom], next;
  size_t count, size;
  const size_t vocab = (size_t)weft_model_vocab_size(model);
  const float* logits;
  char piece[256];
  weft_code code = weft_tokenize(model, prompt, strlen(prompt),
                                 WEFT_ADD_SPECIAL, tokens, kRoom, &count, error);
  if (code != WEFT_OK) return code;
  if (count > kRoom) count = kRoom;
  code = weft_prefill(session, 0, tokens, count, NULL, NULL, &logits, error);
  for (int i = 0; i < kTokens && code == WEFT_OK; ++i) {
    code = weft_sampler_sample(sampler, logits, vocab, &next, error);
    if (code != WEFT_OK || weft_token_is_end(model, next)) break;
    code = weft_token_piece(model, next, 0, piece, sizeof piece, &size, error);
    if (code != WEFT_OK) break;
    fwrite(piece, 1, size < sizeof piece ? size : sizeof piece, stdout);
    code = weft_decode(session, 0, next, &logits, error);
  }
  putchar('\n');
  return code;
}

int main(int argc, char** argv) {
  weft_error error;
  weft_model* model = NULL;
  weft_session* session = NULL;
  weft_sampler* sampler = NULL;
  weft_sampler_options options;
  weft_code code;
  if (argc != 3) {
    fprintf(stderr, "usage: generate_c MODEL.gguf PROMPT\n");
    return 2;
  }
  if (weft_abi_version() != WEFT_ABI_VERSION) {
    fprintf(stderr, "generate_c: compiled for another weft than %s\n",
            weft_version());
    return 1;
  }
  weft_sampler_defaults(&options, sizeof options);
  options.temperature = 0;
  code = weft_model_load(argv[1], NULL, &model, &error);
  if (code == WEFT_OK) code = weft_session_new(model, NULL, &session, &error);
  if (code == WEFT_OK) code = weft_sampler_new(&options, &sampler, &error);
  if (code == WEFT_OK)
    code = Generate(model, session, sampler, argv[2], &error);
  weft_sampler_free(sampler);
  weft_session_free(session);
  weft_model_free(model);
  return code == WEFT_OK ? 0 : Fail(&error);
}

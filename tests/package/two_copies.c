/* Two copies of weft in one process: one linked in, with all its names offered to
 * others (-rdynamic), one from a library. Each has to stay with its own.
 *
 *   two_copies libweft.so MODEL.gguf
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include <weft/weft.h>

/* The functions that generating takes, from either copy. */
typedef struct Copy {
  weft_code (*load)(const char*, const weft_model_options*, weft_model**,
                    weft_error*);
  weft_code (*open)(const weft_model*, const weft_session_options*,
                    weft_session**, weft_error*);
  weft_code (*decode)(weft_session*, int32_t, int32_t, const float**,
                      weft_error*);
  int64_t (*vocab)(const weft_model*);
  void (*close)(weft_session*);
  void (*unload)(weft_model*);
  weft_model* model;
  weft_session* session;
  int32_t token;
} Copy;

static void* Find(void* library, const char* name) {
  void* at = dlsym(library, name);
  if (at == NULL) fprintf(stderr, "two_copies: no %s\n", name);
  return at;
}

static int Step(Copy* copy) {
  const float* logits;
  weft_error error;
  const int64_t n = copy->vocab(copy->model);
  if (copy->decode(copy->session, 0, copy->token, &logits, &error) != WEFT_OK) {
    fprintf(stderr, "two_copies: %s\n", error.message);
    return 0;
  }
  copy->token = 0;
  for (int64_t i = 1; i < n; ++i)
    if (logits[i] > logits[copy->token]) copy->token = (int32_t)i;
  return 1;
}

int main(int argc, char** argv) {
  Copy mine = {weft_model_load,       weft_session_new,  weft_decode,
               weft_model_vocab_size, weft_session_free, weft_model_free,
               NULL,                  NULL,              1};
  Copy other = mine;
  Copy* both[2] = {&mine, &other};
  weft_error error;
  void* library = argc == 3 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
  if (library == NULL) {
    fprintf(stderr, "two_copies: %s\n", argc == 3 ? dlerror() : "usage");
    return 2;
  }
  *(void**)&other.load = Find(library, "weft_model_load");
  *(void**)&other.open = Find(library, "weft_session_new");
  *(void**)&other.decode = Find(library, "weft_decode");
  *(void**)&other.vocab = Find(library, "weft_model_vocab_size");
  *(void**)&other.close = Find(library, "weft_session_free");
  *(void**)&other.unload = Find(library, "weft_model_free");
  if (other.load == mine.load) {
    fprintf(stderr, "two_copies: there is one copy only\n");
    return 1;
  }
  for (int i = 0; i < 2; ++i)
    if (both[i]->load(argv[2], NULL, &both[i]->model, &error) != WEFT_OK ||
        both[i]->open(both[i]->model, NULL, &both[i]->session, &error) !=
            WEFT_OK) {
      fprintf(stderr, "two_copies: %s\n", error.message);
      return 1;
    }
  for (int i = 0; i < 20; ++i) {
    if (!Step(&mine) || !Step(&other)) return 1;
    if (mine.token != other.token) {
      fprintf(stderr, "two_copies: token %d differs\n", i);
      return 1;
    }
  }
  for (int i = 0; i < 2; ++i) {
    both[i]->close(both[i]->session);
    both[i]->unload(both[i]->model);
  }
  dlclose(library);
  puts("two copies, 20 equal tokens");
  return 0;
}

// What one copy of weft generates, and where it lies. run.sh compiles this into a
// program and into a plugin, and with the headers of two versions; NAME differs.
#include <algorithm>
#include <cstdint>

#include <weft/models/engine.h>

// Leaves `count` greedy tokens in `tokens`; the address of Model::Load, or null
// after an error.
extern "C" const void* NAME(const char* path, int32_t* tokens, int count) {
  const auto model = weft::Model::Load(path);
  if (!model.ok()) return nullptr;
  const auto session = (*model)->NewSession({});
  if (!session.ok()) return nullptr;
  int32_t token = 1;
  for (int i = 0; i < count; ++i) {
    const auto logits = (*session)->Decode(0, token);
    if (!logits.ok()) return nullptr;
    const auto best = std::max_element(logits->begin(), logits->end());
    token = tokens[i] = static_cast<int32_t>(best - logits->begin());
  }
  return reinterpret_cast<const void*>(&weft::Model::Load);
}

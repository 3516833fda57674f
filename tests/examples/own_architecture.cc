// An architecture of one's own, in a program outside the library. Prints the
// logits that follow each of the tokens:
//
//   own_architecture qwen2.gguf 1 5 17
//
// README.md shows the middle of it, and own_architecture_test compares what it
// prints with the reference values that the library's architectures are held
// to.
#include <cstdlib>
#include <iostream>
#include <vector>

#include <weft/models/blocks.h>
#include <weft/models/engine.h>
#include <weft/ops/ops.h>

namespace {

// [readme]
weft::Value Layer(weft::ModelBuilder& b, const weft::Sizes& c, int64_t i,
                  weft::Value x) {
  const auto norm = [&](const char* name) {
    return b.Vector(weft::LayerTensor(i, name), c.width);
  };
  const weft::AttentionWeights attn = ReadAttention(b, c, i);
  const weft::MlpWeights ffn = ReadMlp(b, c, i);
  weft::Value h = RmsNorm(x, c.eps) * norm("attn_norm.weight");
  const weft::Qkv qkv = Rotated(ProjectQkv(h, attn), b.step().pos, c.rope);
  x = x + SelfAttention(qkv, attn, b.step(), c.attend);
  h = RmsNorm(x, c.eps) * norm("ffn_norm.weight");
  h = SwiGlu(Project(h, ffn.gate), Project(h, ffn.up));
  return x + Project(h, ffn.down);
}

void Build(weft::ModelBuilder& b) {
  const weft::Sizes c = weft::ReadSizes(b);  // what the file's metadata say
  if (!b.status().ok()) return;
  const weft::Value table = b.Weight("token_embd.weight", {c.vocab, c.width});
  weft::Value x = Embed(b, table);
  for (int64_t i = 0; i < c.layers; ++i) x = Layer(b, c, i, x);
  x = SelectRows(x, b.out_rows());
  x = RmsNorm(x, c.eps) * b.Vector("output_norm.weight", c.width);
  b.Finish(x, Logits(b, x, table));
  b.graph().Expect("attention", static_cast<int>(c.layers));
}

const weft::Architecture kMine = {"qwen2", Build};
// [/readme]

int Fail(const absl::Status& status) {
  std::cerr << "own_architecture: " << status.message() << "\n";
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: own_architecture MODEL.gguf TOKEN...\n";
    return 2;
  }
  std::vector<weft::Token> tokens;
  for (int i = 2; i < argc; ++i) tokens.push_back(std::atoi(argv[i]));

  weft::LoadOptions load;
  load.architectures = {&kMine};  // before the library's of that name
  load.tokenizer = false;         // the tokens are given
  const auto model = weft::Model::Load(argv[1], load);
  if (!model.ok()) return Fail(model.status());
  if ((*model)->architecture().build != Build)
    return Fail(absl::FailedPreconditionError("the file is no qwen2"));

  weft::SessionOptions options;
  options.numerics = weft::Numerics::kExact;
  options.kv_k = options.kv_v = weft::DType::kF32;
  options.logits_rows = static_cast<int64_t>(tokens.size());
  const auto session = (*model)->NewSession(options);
  if (!session.ok()) return Fail(session.status());

  std::cout.precision(9);
  weft::PrefillOptions prefill;
  prefill.on_logits = [](int64_t, absl::Span<const float> logits) {
    for (const float x : logits) std::cout << x << "\n";
  };
  const auto last = (*session)->Prefill(0, tokens, prefill);
  return last.ok() ? 0 : Fail(last.status());
}

#include "tests/attention_run.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/graph.h"
#include "graph/status_macros.h"
#include "gtest/gtest.h"
#include "ops/fused.h"
#include "ops/gather.h"

namespace weft::inline v0 {
namespace {

// Of variance 1, in [-1.73, 1.73); cheaper than normal ones.
std::vector<float> Numbers(int64_t n, std::mt19937_64& random) {
  std::vector<float> out(static_cast<size_t>(n));
  for (float& x : out)
    x = (static_cast<float>(random() >> 40) * 0x1p-24f - 0.5f) * 3.4641016f;
  return out;
}

std::shared_ptr<const Graph> Build(const AttentionSetup& s) {
  auto graph = std::make_shared<Graph>();
  Graph& g = *graph;
  const Dim t = Dim::Symbol("T", s.tokens);
  FusedAttention a;
  a.step = {g.Input("pos", DType::kI32, {t}),
            g.Input("slot", DType::kI32, {t})};
  const auto cache = [&](const char* name, DType dtype, int64_t n) {
    return Append(g.State(absl::StrCat(name, "_cache"), dtype,
                          {s.slots, s.context, s.groups, n}),
                  g.Input(name, DType::kF32, {t, s.groups, n}), a.step);
  };
  a.q = g.Input("q", DType::kF32, {t, s.heads, s.d});
  a.k = cache("k", s.kv_k, s.d);
  a.v = cache("v", s.kv_v, s.e);
  if (!s.bias.empty())
    a.bias = g.Input("bias", DType::kF32, {s.heads, 1, s.context});
  a.options = s.options;
  g.Output("y", Attention(a));
  EXPECT_TRUE(g.Finish().ok()) << g.status();
  return graph;
}

// Copies `from` to the input's element `index`, counted in elements of that
// size.
template <class T>
absl::Status Write(Executable& executable, const char* name, size_t index,
                   absl::Span<const T> from) {
  WEFT_ASSIGN_OR_RETURN(const absl::Span<std::byte> to, executable.Input(name));
  std::memcpy(to.data() + index * from.size() * sizeof(T), from.data(),
              from.size() * sizeof(T));
  return absl::OkStatus();
}

absl::Status Write(Executable& executable, const char* name, size_t index,
                   int64_t value) {
  const int32_t narrow = static_cast<int32_t>(value);
  return Write(executable, name, index, absl::MakeConstSpan(&narrow, 1));
}

}  // namespace

AttentionRun::AttentionRun(AttentionSetup setup) : setup_(std::move(setup)) {
  std::mt19937_64 random(1);
  for (int64_t i = 0; i < setup_.slots * setup_.context; ++i)
    tokens_.push_back({Numbers(setup_.heads * setup_.d, random),
                       Numbers(setup_.groups * setup_.d, random),
                       Numbers(setup_.groups * setup_.e, random)});
  const auto backend = MakeBackend(setup_.backend, setup_.backend_options);
  EXPECT_TRUE(backend.ok()) << backend.status();
  auto executable = (*backend)->Compile(
      Build(setup_),
      [](const Node&) -> absl::StatusOr<absl::Span<const std::byte>> {
        return absl::NotFoundError("there are no weights");
      });
  EXPECT_TRUE(executable.ok()) << executable.status();
  executable_ = *std::move(executable);
}

absl::StatusOr<std::vector<float>> AttentionRun::Step(
    absl::Span<const Place> places) {
  for (size_t i = 0; i < places.size(); ++i) {
    const auto [slot, pos] = places[i];
    // A place that does not exist has numbers all the same.
    const Token& token = At(std::clamp<int64_t>(slot, 0, setup_.slots - 1),
                            std::clamp<int64_t>(pos, 0, setup_.context - 1));
    for (const auto& [name, row] :
         {std::pair{"q", &token.q}, {"k", &token.k}, {"v", &token.v}})
      WEFT_RETURN_IF_ERROR(
          Write(*executable_, name, i, absl::MakeConstSpan(*row)));
    WEFT_RETURN_IF_ERROR(Write(*executable_, "pos", i, pos));
    WEFT_RETURN_IF_ERROR(Write(*executable_, "slot", i, slot));
  }
  if (!setup_.bias.empty())
    WEFT_RETURN_IF_ERROR(
        Write(*executable_, "bias", 0, absl::MakeConstSpan(setup_.bias)));
  WEFT_RETURN_IF_ERROR(
      executable_->Run({{"T", static_cast<int64_t>(places.size())}}));
  WEFT_ASSIGN_OR_RETURN(const auto bytes, executable_->Output("y"));
  std::vector<float> out(places.size() *
                         static_cast<size_t>(setup_.heads * setup_.e));
  std::memcpy(out.data(), bytes.data(), out.size() * sizeof(float));
  return out;
}

std::vector<float> AttentionRun::Positions(int64_t begin, int64_t end,
                                           int64_t chunk, int64_t slot) {
  std::vector<float> all;
  for (; begin < end; begin += chunk) {
    std::vector<Place> places;
    for (int64_t pos = begin; pos < std::min(end, begin + chunk); ++pos)
      places.push_back({slot, pos});
    const auto step = Step(places);
    EXPECT_TRUE(step.ok()) << step.status();
    if (!step.ok()) break;
    all.insert(all.end(), step->begin(), step->end());
  }
  return all;
}

}  // namespace weft::inline v0

// Memory that runs out at any allocation is an error code, leaks nothing, and
// leaves other sessions alone. Replaces the global allocator, so it must stay a
// program of its own.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "gtest/gtest.h"
#include "models/c_api/weft.h"
#include "models/c_api/weft_graph.h"
#include "models/engine.h"
#include "models/grammar/json_schema.h"
#include "models/model_file.h"
#include "models/no_throw.h"
#include "models/runner.h"
#include "models/scheduler.h"
#include "ops/ops.h"
#include "tests/bpe_vocab.h"
#include "tests/gguf_builder.h"
#include "tests/hf_model.h"
#include "tests/tiny_llama.h"

namespace {

// Only the allocations of the thread that asks for it fail; workers take none.
thread_local long until_failure = -1;  // < 0: none fails
thread_local long allocations = 0;
std::atomic<long> live = 0;

void* Allocate(size_t size) {
  ++allocations;
  if (until_failure >= 0 && until_failure-- == 0) return nullptr;
  void* const at = std::malloc(size == 0 ? 1 : size);
  if (at != nullptr) ++live;
  return at;
}
void* OrThrow(size_t size) {
  void* const at = Allocate(size);
  if (at == nullptr) throw std::bad_alloc();
  return at;
}
void Release(void* at) {
  if (at != nullptr) --live;
  std::free(at);
}

}  // namespace

void* operator new(size_t size) { return OrThrow(size); }
void* operator new[](size_t size) { return OrThrow(size); }
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return Allocate(size);
}
void* operator new[](size_t size, const std::nothrow_t&) noexcept {
  return Allocate(size);
}
void operator delete(void* at) noexcept { Release(at); }
void operator delete[](void* at) noexcept { Release(at); }
void operator delete(void* at, size_t) noexcept { Release(at); }
void operator delete[](void* at, size_t) noexcept { Release(at); }
void operator delete(void* at, const std::nothrow_t&) noexcept { Release(at); }
void operator delete[](void* at, const std::nothrow_t&) noexcept {
  Release(at);
}

namespace weft::inline v0 {
namespace {

// What a case makes, without memory of its own.
constexpr size_t kSteps = 20;
using Results = std::array<int64_t, kSteps>;
using Case = absl::FunctionRef<absl::StatusCode(Results&)>;

// Which of its allocations fail: all, or `runs` of them from a random one on,
// and all of the last, which bind and start threads.
struct Coverage {
  long runs;
  long last = 0;
};
constexpr Coverage kAll = {1 << 30};

void FailEach(Case run, Coverage coverage) {
  Results want = {}, got = {};
  ASSERT_EQ(run(want), absl::StatusCode::kOk);  // fills what is kept
  allocations = 0;
  ASSERT_EQ(run(got), absl::StatusCode::kOk);
  ASSERT_EQ(got, want);
  const long total = allocations;
  const long stride = std::max(1l, total / coverage.runs);
  const long first =
      std::chrono::steady_clock::now().time_since_epoch().count() % stride;
  testing::Test::RecordProperty("allocations", std::to_string(total));
  for (long k = first; k < total; k += k < total - coverage.last ? stride : 1) {
    const long before = live;
    got = {};
    until_failure = k;
    const absl::StatusCode code = run(got);
    until_failure = -1;
    // Some algorithms of the standard library do with less memory.
    if (code == absl::StatusCode::kOk)
      ASSERT_EQ(got, want) << "allocation " << k << " of " << total;
    else
      ASSERT_EQ(code, absl::StatusCode::kResourceExhausted)
          << "allocation " << k << " of " << total;
    ASSERT_EQ(live, before) << "leaked at allocation " << k << " of " << total;
  }
}

// While it lives, allocations are neither counted nor fail: what a case
// prepares, and is not the library's.
class Unlimited {
 public:
  Unlimited() : kept_(std::exchange(until_failure, -1)), count_(allocations) {}
  ~Unlimited() {
    until_failure = kept_;
    allocations = count_;
  }
  Unlimited(const Unlimited&) = delete;
  Unlimited& operator=(const Unlimited&) = delete;

 private:
  long kept_, count_;
};

absl::StatusOr<std::shared_ptr<const Model>> LoadFrom(const std::string& file) {
  auto parsed = GgufFile::Parse(AsBytes(file), "tiny");
  if (!parsed.ok()) return parsed.status();
  return Model::FromFile(*std::move(parsed));
}

int64_t Best(absl::Span<const float> logits) {
  return std::max_element(logits.begin(), logits.end()) - logits.begin();
}

absl::StatusCode LoadAndStep(const std::string& file, Results& out) {
  const auto model = LoadFrom(file);
  if (!model.ok()) return model.status().code();
  SessionOptions options;
  options.backend_options.threads = 2;
  auto session = (*model)->NewSession(options);
  if (!session.ok()) return session.status().code();
  const Token prompt[] = {1, 7, 3};
  auto logits = (*session)->Prefill(0, prompt);
  for (int64_t& token : out) {
    if (!logits.ok()) break;
    token = Best(*logits);
    logits = (*session)->Decode(0, static_cast<Token>(token));
  }
  return logits.status().code();
}

TEST(FaultInjection, LoadCompileAndSteps) {
  const std::string file = TinyLlama().Build();
  // Beside it, a session that goes on throughout.
  const auto model = LoadFrom(file);
  ASSERT_TRUE(model.ok()) << model.status();
  const auto session = (*model)->NewSession({});
  ASSERT_TRUE(session.ok()) << session.status();
  ASSERT_TRUE((*session)->Decode(0, 5).ok());
  FailEach([&](Results& out) { return LoadAndStep(file, out); }, {300, 150});
  EXPECT_TRUE((*session)->Decode(0, 6).ok());
}

// The file's own part of loading, with a vocabulary of merges.
TEST(FaultInjection, EveryAllocationOfAVocabulary) {
  GgufSpec spec = TinyLlama();
  std::erase_if(spec.keys, [](const GgufKeySpec& key) {
    return key.key.starts_with("tokenizer.");
  });
  const GgufSpec bpe = SmallBpeVocab().Spec("gpt-2");
  spec.keys.insert(spec.keys.end(), bpe.keys.begin(), bpe.keys.end());
  const std::string file = spec.Build();
  FailEach(
      [&](Results& out) {
        const auto parsed = GgufFile::Parse(AsBytes(file), "bpe");
        if (!parsed.ok()) return parsed.status().code();
        try {  // tokenizers by themselves may throw
          const auto tokenizer = MakeTokenizer(*parsed);
          if (!tokenizer.ok()) return tokenizer.status().code();
          const auto tokens = (*tokenizer)->Encode("abcd aaaa", {});
          if (!tokens.ok()) return tokens.status().code();
          std::copy(tokens->begin(), tokens->end(), out.begin());
        } catch (const std::bad_alloc&) {
          return absl::StatusCode::kResourceExhausted;
        }
        return absl::StatusCode::kOk;
      },
      kAll);
}

// The same of a directory: its index, headers, config and tokenizer are JSON.
TEST(FaultInjection, EveryAllocationOfADirectoryOfSafetensors) {
  HfModel model = SmallHfModel();
  model.tokenizer = {{"pre_tokenizer", {{"type", "ByteLevel"}}},
                     {"added_tokens", {{{"id", 3}, {"content", "<s>"}}}},
                     {"model",
                      {{"type", "BPE"},
                       {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}}},
                       {"merges", {"a b"}}}}};
  model.tokenizer_config = {{"bos_token", "<s>"}};
  const std::string folder = model.Write("faults", 2);
  FailEach(
      [&](Results& out) {
        const auto file = NoThrow([&] { return OpenModelFile(folder); });
        if (!file.ok()) return file.status().code();
        out[0] = static_cast<int64_t>(file->tensors().size());
        out[1] = file->GetUint32("tokenizer.ggml.bos_token_id").value_or(0);
        return absl::StatusCode::kOk;
      },
      kAll);
}

std::unique_ptr<Session> TwoSlots(const Model& model) {
  Unlimited unlimited;
  SessionOptions options;
  options.slots = options.logits_rows = 2;
  auto session = model.NewSession(options);
  EXPECT_TRUE(session.ok()) << session.status();
  return *std::move(session);
}

// Gives its tokens to `out` from the place `n` on.
Request FiveTokens(Token first, Results& out, size_t& n) {
  Unlimited unlimited;
  Request request;
  request.prompt = {1, first};
  request.max_tokens = 5;
  request.sampler.temperature = 0;
  request.on_token = [&](Token token) {
    out[n++] = token;
    return true;
  };
  return request;
}

TEST(FaultInjection, EveryAllocationOfASchedulersRequests) {
  const std::string file = TinyLlama().Build();
  const auto model = LoadFrom(file);
  ASSERT_TRUE(model.ok()) << model.status();
  const auto run = [&](Results& out) {
    auto scheduler = Scheduler::Make(TwoSlots(**model));
    if (!scheduler.ok()) return scheduler.status().code();
    size_t n = 0;
    for (const Token token : {3, 4, 5}) {
      const auto id = (*scheduler)->Submit(FiveTokens(token, out, n));
      if (!id.ok()) return id.status().code();
    }
    while ((*scheduler)->busy()) {
      const absl::Status status = (*scheduler)->Step();
      if (!status.ok()) return status.code();
    }
    return absl::StatusCode::kOk;
  };
  FailEach(run, kAll);
}

std::unique_ptr<Graph> TwoProducts() {
  Unlimited unlimited;
  auto g = std::make_unique<Graph>();
  const Value x = g->Input("x", DType::kF32, {Dim::Symbol("T", 4), 8});
  const Value w = g->Weight("w", DType::kF32, {8, 8});
  g->Output("y", Linear(Softmax(Linear(x, w)), w));
  return g;
}

TEST(FaultInjection, EveryAllocationOfCompilingAGraph) {
  const Weights weights = RandomWeights(1);
  const auto run = [&](Results& out) {
    auto graph = TwoProducts();
    Weights copy;
    {
      Unlimited unlimited;
      copy = weights;
    }
    auto runner = Runner::Compile(std::move(graph), std::move(copy));
    if (!runner.ok()) return runner.status().code();
    const std::array<float, 16> in = {1, 2, 3};
    std::array<float, 16> y = {};
    const absl::Status ran =
        (*runner)->Run({InputOf(in, {2, 8})}, {OutputOf(y)});
    for (size_t i = 0; i < y.size(); ++i)
      out[i] = static_cast<int64_t>(y[i] * 1e6f);
    return ran.code();
  };
  FailEach(run, kAll);
}

// Handles of C that go when their scope ends.
struct Handles {
  ~Handles() {
    weft_sampler_free(sampler);
    weft_session_free(session);
    weft_model_free(model);
  }
  weft_model* model = nullptr;
  weft_session* session = nullptr;
  weft_sampler* sampler = nullptr;
};

weft_code UseText(const Handles& c, Results& out) {
  std::array<int32_t, 8> tokens;
  std::array<char, 64> text;
  size_t count = 0, size = 0;
  weft_code code = weft_tokenize(c.model, "a b", 3, WEFT_ADD_SPECIAL,
                                 tokens.data(), tokens.size(), &count, nullptr);
  if (code == WEFT_OK)
    code = weft_detokenize(c.model, tokens.data(), count, 0, text.data(),
                           text.size(), &size, nullptr);
  if (code == WEFT_OK)
    code = weft_session_graph(c.session, nullptr, 0, &size, nullptr);
  if (code == WEFT_OK)
    code = weft_session_fusion_report(c.session, nullptr, 0, &size, nullptr);
  out[kSteps - 1] = static_cast<int64_t>(size);
  return code;
}

weft_code Generate(const Handles& c, Results& out) {
  const int32_t prompt[] = {1, 7, 3};
  const float* logits = nullptr;
  weft_code code =
      weft_prefill(c.session, 0, prompt, 3, nullptr, nullptr, &logits, nullptr);
  const auto n = static_cast<size_t>(weft_model_vocab_size(c.model));
  for (size_t i = 0; i + 1 < kSteps && code == WEFT_OK; ++i) {
    int32_t token = 0;
    code = weft_sampler_sample(c.sampler, logits, n, &token, nullptr);
    if (code == WEFT_OK) code = weft_sampler_accept(c.sampler, token, nullptr);
    if (code == WEFT_OK)
      code = weft_decode(c.session, 0, token, &logits, nullptr);
    out[i] = token;
  }
  static std::array<char, 1 << 16> state;
  const size_t size = weft_session_state_size(c.session, 0);
  if (code == WEFT_OK)
    code = weft_session_save(c.session, 0, state.data(), size, nullptr);
  if (code == WEFT_OK)
    code = weft_session_restore(c.session, 1, state.data(), size, nullptr);
  return code;
}

TEST(FaultInjection, TheInterfaceOfC) {
  const std::string file = TinyLlama().Build();
  const auto run = [&](Results& out) {
    Handles c;
    weft_session_options o = {};
    o.size = sizeof o;
    o.slots = 2;
    o.threads = 1;
    weft_code code = weft_model_load_memory(file.data(), file.size(), "c",
                                            nullptr, &c.model, nullptr);
    if (code == WEFT_OK)
      code = weft_session_new(c.model, &o, &c.session, nullptr);
    if (code == WEFT_OK) code = weft_sampler_new(nullptr, &c.sampler, nullptr);
    if (code == WEFT_OK) code = UseText(c, out);
    if (code == WEFT_OK) code = Generate(c, out);
    return static_cast<absl::StatusCode>(code);
  };
  FailEach(run, {300, 300});
}

// Tokens that a sampler of equal logits chooses within a grammar or schema.
weft_code SampleWithin(const weft_model* model, const char* grammar,
                       const char* schema, Results& out) {
  static constexpr std::array<float, 512> kLogits = {};
  Handles c;
  weft_sampler_options o;
  weft_sampler_defaults(&o, sizeof o);
  o.temperature = 0;
  o.grammar = grammar;
  o.json_schema = schema;
  o.model = model;
  weft_code code = weft_sampler_new(&o, &c.sampler, nullptr);
  const auto n = static_cast<size_t>(weft_model_vocab_size(model));
  for (size_t i = 0; i < kSteps && code == WEFT_OK; ++i) {
    int32_t token = 0;
    code = weft_sampler_sample(c.sampler, kLogits.data(), n, &token, nullptr);
    if (code == WEFT_OK) code = weft_sampler_accept(c.sampler, token, nullptr);
    out[i] = token;
  }
  return code;
}

// softmax(x w) built, compiled and run from C.
weft_code RunGraphOfC(weft_graph* g, weft_runner** runner, Results& out) {
  const weft_dim dims[] = {{4, "T"}, {8, nullptr}},
                 square[] = {{8, nullptr}, {8, nullptr}};
  const std::array<float, 64> w = {1, 2, 3};
  const weft_named_weight weight = {"w", w.data(), sizeof w};
  const weft_value both[] = {weft_graph_input(g, "x", "f32", dims, 2),
                             weft_graph_weight(g, "w", "f32", square, 2)};
  const weft_value product = weft_graph_op(g, "linear", both, 2);
  weft_graph_output(g, "y", weft_graph_op(g, "softmax", &product, 1));
  weft_runner_options options = {};
  options.size = sizeof options;
  options.weights = &weight;
  options.weight_count = 1;
  weft_code code = weft_runner_new(g, &options, runner, nullptr);
  if (code != WEFT_OK) return code;
  const std::array<float, 8> in = {1, 2};
  std::array<float, 8> y = {};
  const weft_tensor x = {in.data(), sizeof in, nullptr, 2, {1, 8}};
  const weft_buffer to = {y.data(), sizeof y};
  code = weft_runner_run(*runner, &x, 1, &to, 1, nullptr);
  for (size_t i = 0; i < y.size(); ++i)
    out[i] = static_cast<int64_t>(y[i] * 1e6f);
  return code;
}

TEST(FaultInjection, EveryAllocationOfAGraphOfC) {
  FailEach(
      [](Results& out) {
        weft_graph* g = nullptr;
        weft_runner* runner = nullptr;
        weft_code code = weft_graph_new(&g, nullptr);
        if (code == WEFT_OK) code = RunGraphOfC(g, &runner, out);
        weft_runner_free(runner);
        weft_graph_free(g);
        return static_cast<absl::StatusCode>(code);
      },
      kAll);
}

TEST(FaultInjection, EveryAllocationOfAGrammarsSampler) {
  const std::string file = TinyLlama().Build();
  Handles held;
  ASSERT_EQ(weft_model_load_memory(file.data(), file.size(), "c", nullptr,
                                   &held.model, nullptr),
            WEFT_OK);
  ASSERT_LE(weft_model_vocab_size(held.model), 512);
  const char* grammar = "root ::= (ab | \"b\" [ab])* \nab ::= \"ab\"{2,3}";
  FailEach(
      [&](Results& out) {
        return static_cast<absl::StatusCode>(
            SampleWithin(held.model, grammar, nullptr, out));
      },
      kAll);
}

TEST(FaultInjection, EveryAllocationOfASchema) {
  // What is merged, compared and pointed to, a pattern and numbers.
  const char* schema = R"({
    "properties": {"a": {"$ref": "#/$defs/d"}, "b": {"pattern": "a+"}},
    "required": ["a"], "additionalProperties": {"enum": [1.5, "x"]},
    "$defs": {"d": {"oneOf": [{"const": null},
                              {"allOf": [{"type": "integer"},
                                         {"minimum": 12}]}]}}})";
  FailEach(
      [&](Results& out) {
        const auto grammar = NoThrow([&] { return ParseJsonSchema(schema); });
        out[0] = grammar.ok();
        return grammar.status().code();
      },
      kAll);
}

}  // namespace
}  // namespace weft::inline v0

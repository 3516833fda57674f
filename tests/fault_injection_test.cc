// Memory, or a thread, that cannot be had at any of the places where the
// library asks for one is an error code, leaks nothing, and leaves other
// sessions alone. The doors of C++; fault_injection_c_test has those of C.
//
// Not failed here: what libstdc++ takes when it throws (it has a reserve), and
// what the C library and a shared PCRE2 take for themselves.
#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "models/chat_template.h"
#include "models/engine.h"
#include "models/grammar/json_schema.h"
#include "models/model_file.h"
#include "models/no_throw.h"
#include "models/runner.h"
#include "models/scheduler.h"
#include "ops/ops.h"
#include "tests/bpe_vocab.h"
#include "tests/fail_each.h"
#include "tests/gguf_builder.h"
#include "tests/golden.h"
#include "tests/hf_model.h"
#include "tests/tiny_llama.h"
#include "tests/tool_runner.h"

namespace weft::inline v0 {
namespace {

using Code = absl::StatusCode;

// One layer: what more of them ask for is the same again.
const std::string& TinyFile() {
  static const std::string file = TinyLlama(1).Build();
  return file;
}

absl::StatusOr<std::shared_ptr<const Model>> LoadFrom(
    const std::string& file, const LoadOptions& options = {}) {
  auto parsed = GgufFile::Parse(AsBytes(file), "tiny");
  if (!parsed.ok()) return parsed.status();
  return Model::FromFile(*std::move(parsed), options);
}

std::shared_ptr<const Model> Loaded() {
  auto model = LoadFrom(TinyFile());
  EXPECT_TRUE(model.ok()) << model.status();
  return *std::move(model);
}

// A prompt and steps after it.
Code Generate(Session& session, Results& out) {
  session.Truncate(0, 0);
  const Token prompt[] = {1, 7, 3};
  auto logits = session.Prefill(0, prompt);
  for (int64_t& token : out) {
    if (!logits.ok()) break;
    token = BestToken(*logits);
    logits = session.Decode(0, static_cast<Token>(token));
  }
  return logits.status().code();
}

Code Open(const Model& model, const SessionOptions& options, Results& out) {
  const auto session = model.NewSession(options);
  return session.ok() ? Generate(**session, out) : session.status().code();
}

// ---- Models and sessions ----

Scenario Load() {
  return [](Results& out) {
    const auto model = LoadFrom(TinyFile());
    if (!model.ok()) return model.status().code();
    out[0] = (*model)->vocab_size();
    return Code::kOk;
  };
}

// In other numerics and with more threads than below.
Scenario NewSession() {
  SessionOptions options;
  options.numerics = Numerics::kExact;
  options.backend_options.threads = 3;
  return [model = Loaded(), options](Results& out) {
    return Open(*model, options, out);
  };
}

Scenario Steps() {
  return [session = std::shared_ptr<Session>(*Loaded()->NewSession({}))](
             Results& out) { return Generate(*session, out); };
}

Scenario LoadCompileAndSteps() {
  return [](Results& out) {
    SessionOptions options;
    options.backend_options.threads = 2;
    const auto model = LoadFrom(TinyFile());
    return model.ok() ? Open(**model, options, out) : model.status().code();
  };
}

// From a file, of more layers and other sizes.
Scenario StoriesFromItsFile() {
  const std::string path = SharedPath("models/stories260K.gguf");
  return [path = path.empty() ? TinyLlamaPath() : path](Results& out) {
    const auto model = Model::Load(path);
    return model.ok() ? Open(**model, {}, out) : model.status().code();
  };
}

Scenario Estimate() {
  return [model = Loaded()](Results& out) {
    const auto estimate = model->Estimate({});
    if (estimate.ok()) out[0] = estimate->session.total();
    return estimate.status().code();
  };
}

Scenario Adapters() {
  const std::string path = ScratchPath("adapter.gguf");
  WriteBytes(path, TinyAdapter().Build());
  LoadOptions options;
  options.adapters = {{path, 0.5f}};
  options.read_into_memory = true;
  return [options](Results& out) {
    const auto model = LoadFrom(TinyFile(), options);
    return model.ok() ? Open(**model, {}, out) : model.status().code();
  };
}

// Packing, on threads, and its file.
Scenario PackingAndItsFile() {
  const std::string path = ScratchPath("to_pack.gguf");
  WriteBytes(path, TinyFile());
  SessionOptions options;
  options.pack_weights = true;
  options.pack_cache = ScratchPath("packed");
  options.backend_options.threads = 2;
  return [path, options](Results& out) {
    {
      const Unlimited unlimited;
      std::filesystem::remove_all(options.pack_cache);
    }
    const auto model = Model::Load(path);
    if (!model.ok()) return model.status().code();
    const Code code = Open(**model, options, out);
    return code == Code::kOk ? Open(**model, options, out) : code;
  };
}

Scenario Taps() {
  SessionOptions options;
  options.taps = {"layer.*", "blk.0.attn_q"};
  return [model = Loaded(), options](Results& out) {
    const auto session = model->NewSession(options);
    if (!session.ok()) return session.status().code();
    size_t n = 0;
    (*session)->SetTapSink([&out, &n](absl::string_view, HostTensor value) {
      out[n++ % kSteps] = static_cast<int64_t>(value.bytes.size());
      return absl::OkStatus();
    });
    const Code code = (*session)->Decode(0, 3).status().code();
    // A step whose taps fail has not been.
    const int64_t steps = code == Code::kOk ? 1 : 0;
    return (*session)->position(0) == steps ? code : Code::kDataLoss;
  };
}

// What the host makes of a request; it adds its tokens to `out` from `n` on.
Request FiveTokens(Token first, Results& out, size_t& n) {
  const Unlimited unlimited;
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

std::unique_ptr<Session> TwoSlots(const Model& model) {
  const Unlimited unlimited;
  SessionOptions options;
  options.slots = options.logits_rows = 2;
  return *model.NewSession(options);
}

Scenario Requests() {
  return [model = Loaded()](Results& out) {
    const auto scheduler = Scheduler::Make(TwoSlots(*model));
    if (!scheduler.ok()) return scheduler.status().code();
    size_t n = 0;
    for (const Token first : {3, 4, 5}) {
      const auto id = (*scheduler)->Submit(FiveTokens(first, out, n));
      if (!id.ok()) return id.status().code();
    }
    while ((*scheduler)->busy()) {
      const absl::Status status = (*scheduler)->Step();
      if (!status.ok()) return status.code();
    }
    return Code::kOk;
  };
}

// Two of 10 sampled tokens each. What fails in a request's sampling ends that
// one; a step that fails is made again.
Code Sampled(const Model& model, const Results& want, Results& out) {
  const auto scheduler = Scheduler::Make(TwoSlots(model));
  if (!scheduler.ok()) return scheduler.status().code();
  Code code = Code::kOk;
  for (size_t i = 0; i < 2; ++i) {
    int64_t* at = &out[10 * i];
    std::optional<Request> asked;
    {
      const Unlimited unlimited;
      Request& request = asked.emplace();
      request.prompt = {1, 5};
      request.max_tokens = 10;
      request.stop_at_end = false;
      request.sampler.temperature = 0.8f;
      request.sampler.seed = i;
      request.sampler.repeat_penalty = 1.2f;
      request.sampler.dry_multiplier = 0.5f;
      request.on_token = [at](Token token) mutable {
        *at++ = token;
        return true;
      };
      request.on_end = [&, i](RequestEnd, const absl::Status& status) {
        if (status.ok()) {
          if (!std::equal(&out[10 * i], &out[10 * i] + 10, &want[10 * i]))
            code = Code::kDataLoss;
        } else if (code == Code::kOk) {
          code = status.code();
        }
      };
    }
    const auto id = (*scheduler)->Submit(*std::move(asked));
    if (!id.ok()) return id.status().code();
  }
  for (int steps = 0; (*scheduler)->busy(); ++steps) {
    const absl::Status status = (*scheduler)->Step();
    if (!status.ok() && code == Code::kOk) code = status.code();
    if (steps == 100) return Code::kInternal;
  }
  return code;
}

Scenario SampledRequests() {
  const auto model = Loaded();
  Results want = {}, ignored = {};
  Sampled(*model, ignored, want);
  return [model, want](Results& out) { return Sampled(*model, want, out); };
}

// ---- Files and texts ----

// The file's own part of loading, with a vocabulary of merges and patterns.
Scenario MergesAndPatterns() {
  GgufSpec spec = TinyLlama(1);
  std::erase_if(spec.keys, [](const GgufKeySpec& key) {
    return key.key.starts_with("tokenizer.");
  });
  const GgufSpec bpe = SmallBpeVocab().Spec("gpt-2");
  spec.keys.insert(spec.keys.end(), bpe.keys.begin(), bpe.keys.end());
  return [file = spec.Build()](Results& out) {
    const auto parsed = GgufFile::Parse(AsBytes(file), "bpe");
    if (!parsed.ok()) return parsed.status().code();
    const auto tokenizer = MakeTokenizer(*parsed);
    if (!tokenizer.ok()) return tokenizer.status().code();
    const auto tokens = (*tokenizer)->Encode("abcd aaaa", {});
    if (tokens.ok()) std::copy(tokens->begin(), tokens->end(), out.begin());
    return tokens.status().code();
  };
}

// A directory: its index, headers, config and tokenizer are JSON.
Scenario DirectoryOfSafetensors() {
  HfModel model = SmallHfModel();
  model.tokenizer = {{"pre_tokenizer", {{"type", "ByteLevel"}}},
                     {"added_tokens", {{{"id", 3}, {"content", "<s>"}}}},
                     {"model",
                      {{"type", "BPE"},
                       {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}}},
                       {"merges", {"a b"}}}}};
  model.tokenizer_config = {{"bos_token", "<s>"}};
  return [folder = model.Write("faults", 2)](Results& out) {
    const auto file = NoThrow([&] { return OpenModelFile(folder); });
    if (!file.ok()) return file.status().code();
    out[0] = static_cast<int64_t>(file->tensors().size());
    out[1] = file->GetUint32("tokenizer.ggml.bos_token_id").value_or(0);
    return Code::kOk;
  };
}

Scenario SchemaToGrammar() {
  return [](Results& out) {
    // What is merged, compared and pointed to, a pattern and numbers.
    const auto grammar = ParseJsonSchema(R"({
        "properties": {"a": {"$ref": "#/$defs/d"}, "b": {"pattern": "a+"}},
        "required": ["a"], "additionalProperties": {"enum": [1.5, "x"]},
        "$defs": {"d": {"oneOf": [{"const": null},
                                  {"allOf": [{"type": "integer"},
                                             {"minimum": 12}]}]}}})");
    out[0] = grammar.ok();
    return grammar.status().code();
  };
}

// ---- Graphs ----

Scenario CompilingAGraph() {
  return [weights = RandomWeights(1)](Results& out) {
    auto graph = std::unique_ptr<Graph>();
    Weights copy;
    {
      const Unlimited unlimited;  // the DSL may throw
      graph = std::make_unique<Graph>();
      const Value x = graph->Input("x", DType::kF32, {Dim::Symbol("T", 4), 8});
      const Value w = graph->Weight("w", DType::kF32, {8, 8});
      graph->Output("y", Linear(Softmax(Linear(x, w)), w));
      copy = weights;
    }
    const auto runner = Runner::Compile(std::move(graph), std::move(copy));
    if (!runner.ok()) return runner.status().code();
    const std::array<float, 16> in = {1, 2, 3};
    std::array<float, 16> y = {};
    const absl::Status ran =
        (*runner)->Run({InputOf(in, {2, 8})}, {OutputOf(y)});
    for (size_t i = 0; i < y.size(); ++i)
      out[i] = static_cast<int64_t>(y[i] * 1e6f);
    return ran.code();
  };
}

// ----

constexpr NamedScenario kScenarios[] = {
    {"Load", Load},
    {"NewSession", NewSession, 500},
    {"Steps", Steps},
    {"LoadCompileAndSteps", LoadCompileAndSteps},
    {"StoriesFromItsFile", StoriesFromItsFile, 40},
    {"Estimate", Estimate, 300},
    {"Adapters", Adapters, 500},
    {"PackingAndItsFile", PackingAndItsFile, 100},
    {"Taps", Taps, 300},
    {"Requests", Requests},
    {"SampledRequests", SampledRequests},
    {"MergesAndPatterns", MergesAndPatterns},
    {"DirectoryOfSafetensors", DirectoryOfSafetensors},
    {"SchemaToGrammar", SchemaToGrammar},
    {"CompilingAGraph", CompilingAGraph},
};

class FaultInjection : public testing::TestWithParam<NamedScenario> {};

TEST_P(FaultInjection, EveryAllocationMayFail) { FailEach(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Doors, FaultInjection, testing::ValuesIn(kScenarios),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace weft::inline v0

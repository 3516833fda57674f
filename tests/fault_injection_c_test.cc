// As fault_injection_test, through the doors of C: weft.h and weft_graph.h.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "models/c_api/weft.h"
#include "models/c_api/weft_graph.h"
#include "tests/fail_each.h"
#include "tests/tiny_llama.h"
#include "tests/tool_runner.h"

namespace weft::inline v0 {
namespace {

using Code = absl::StatusCode;

// Handles that go when their scope ends.
struct Handles {
  Handles() = default;
  Handles(const Handles&) = delete;
  Handles& operator=(const Handles&) = delete;
  ~Handles() {
    weft_runner_free(runner);
    weft_graph_free(graph);
    weft_sampler_free(sampler);
    weft_session_free(session);
    weft_model_free(model);
  }
  weft_model* model = nullptr;
  weft_session* session = nullptr;
  weft_sampler* sampler = nullptr;
  weft_graph* graph = nullptr;
  weft_runner* runner = nullptr;
};

// The first error of calls one after another: what follows it is not called.
class Calls {
 public:
  template <class F>
  Calls& Then(const F& f) {
    if (code_ == WEFT_OK) code_ = f();
    return *this;
  }
  Code code() const { return static_cast<Code>(code_); }

 private:
  weft_code code_ = WEFT_OK;
};

// One layer, and a template of conversations.
const std::string& File() {
  static const std::string file =
      TinyLlama(1)
          .String("tokenizer.chat_template",
                  "{% for m in messages %}{{ m['role'] ~ ': ' ~ m['content'] }}"
                  "\n{% endfor %}{{ bos_token }}")
          .Build();
  return file;
}

const std::string& Path() {
  static const std::string path = [] {
    WriteBytes(ScratchPath("c.gguf"), File());
    return ScratchPath("c.gguf");
  }();
  return path;
}

weft_code LoadInto(Handles& h) {
  return weft_model_load_memory(File().data(), File().size(), "c", nullptr,
                                &h.model, nullptr);
}

weft_code OpenInto(Handles& h, int embeddings = 0) {
  weft_session_options o = {};
  o.size = sizeof o;
  o.slots = 2;
  o.threads = 2;
  o.embeddings = embeddings;
  return weft_session_new(h.model, &o, &h.session, nullptr);
}

// A model, and a session of it with two slots.
std::shared_ptr<Handles> Opened(int embeddings = 0) {
  auto h = std::make_shared<Handles>();
  EXPECT_EQ(LoadInto(*h), WEFT_OK);
  EXPECT_EQ(OpenInto(*h, embeddings), WEFT_OK);
  return h;
}

// ---- Models ----

int Ignore(void*, int64_t, int64_t) { return 0; }

int ReadFile(void*, uint64_t offset, void* into, size_t size) {
  std::memcpy(into, File().data() + offset, size);
  return 0;
}

template <class Load>
Scenario Loading(Load load) {
  return [load](Results& out) {
    Handles h;
    const weft_code code = load(&h.model);
    out[0] = weft_model_vocab_size(h.model);
    return static_cast<Code>(code);
  };
}

Scenario LoadPath() {
  Path();
  return Loading([](weft_model** model) {
    weft_model_options o = {};
    o.size = sizeof o;
    o.progress = Ignore;
    return weft_model_load(Path().c_str(), &o, model, nullptr);
  });
}

Scenario LoadMemory() {
  return Loading([](weft_model** model) {
    return weft_model_load_memory(File().data(), File().size(), "c", nullptr,
                                  model, nullptr);
  });
}

Scenario LoadDescriptor() {
  Path();
  return Loading([](weft_model** model) {
    const int fd = open(Path().c_str(), O_RDONLY | O_CLOEXEC);
    const weft_code code =
        weft_model_load_descriptor(fd, "fd", nullptr, model, nullptr);
    close(fd);
    return code;
  });
}

Scenario LoadCallback() {
  return Loading([](weft_model** model) {
    return weft_model_load_callback(ReadFile, nullptr, File().size(), nullptr,
                                    nullptr, model, nullptr);
  });
}

Scenario LoadAdapter() {
  const std::string path = ScratchPath("adapter.gguf");
  WriteBytes(path, TinyAdapter().Build());
  return Loading([path](weft_model** model) {
    const char* const paths[] = {path.c_str()};
    const float scales[] = {0.5f};
    weft_model_options o = {};
    o.size = sizeof o;
    o.read_into_memory = 1;
    o.adapters = paths;
    o.adapter_scales = scales;
    o.adapter_count = 1;
    return weft_model_load(Path().c_str(), &o, model, nullptr);
  });
}

// ---- Sessions ----

Scenario NewSession() {
  return [held = Opened()](Results& out) {
    Handles h;
    weft_session_options o = {};
    o.size = sizeof o;
    o.threads = 2;
    o.exact = 1;
    o.kv_k = "q8_0";
    o.target = "";
    const weft_code code =
        weft_session_new(held->model, &o, &h.session, nullptr);
    out[0] = weft_session_row_size(h.session);
    return static_cast<Code>(code);
  };
}

Scenario Estimate() {
  return [held = Opened()](Results& out) {
    return static_cast<Code>(
        weft_session_estimate(held->model, nullptr, &out[0], nullptr));
  };
}

Scenario Reports() {
  return [held = Opened()](Results& out) {
    size_t graph = 0, report = 0;
    Calls calls;
    calls
        .Then([&] {
          return weft_session_graph(held->session, nullptr, 0, &graph, nullptr);
        })
        .Then([&] {
          return weft_session_fusion_report(held->session, nullptr, 0, &report,
                                            nullptr);
        });
    out[0] = static_cast<int64_t>(graph);
    out[1] = static_cast<int64_t>(report);
    return calls.code();
  };
}

// A prompt, one token, and tokens of two slots.
Scenario Steps() {
  return [held = Opened()](Results& out) {
    weft_session* const s = held->session;
    weft_session_truncate(s, 0, 0);
    weft_session_truncate(s, 1, 0);
    const int32_t prompt[] = {1, 7, 3};
    const weft_step_token both[] = {{3, 0, 0}, {4, 1, 1}};
    const float* row = nullptr;
    size_t rows = 0;
    Calls calls;
    calls.Then([&] {
      return weft_prefill(s, 0, prompt, 3, Ignore, nullptr, &row, nullptr);
    });
    for (size_t i = 0; i < kSteps; ++i)
      calls.Then([&] { return weft_decode(s, 0, 9, &row, nullptr); })
          .Then([&] { return weft_step(s, both, 2, &row, &rows, nullptr); })
          .Then([&] {
            out[i] = static_cast<int64_t>(row[0] * 1e6f);
            return WEFT_OK;
          });
    return calls.code();
  };
}

Scenario ForkSaveAndRestore() {
  return [held = Opened()](Results& out) {
    weft_session* const s = held->session;
    weft_session_truncate(s, 0, 0);
    weft_session_truncate(s, 1, 0);
    const int32_t prompt[] = {1, 7, 3};
    static std::array<char, 1 << 14> state;
    Calls calls;
    calls
        .Then([&] {
          return weft_prefill(s, 0, prompt, 3, nullptr, nullptr, nullptr,
                              nullptr);
        })
        .Then([&] {
          return weft_session_save(s, 0, state.data(),
                                   weft_session_state_size(s, 0), nullptr);
        })
        .Then([&] {
          return weft_session_restore(s, 1, state.data(),
                                      weft_session_state_size(s, 0), nullptr);
        })
        .Then([&] { return weft_session_fork(s, 1, 0, nullptr); });
    out[0] = weft_session_position(s, 1);
    return calls.code();
  };
}

Scenario EmbedText() {
  return [held = Opened(1)](Results& out) {
    const int32_t tokens[] = {1, 7, 3};
    std::array<float, 64> vector = {};
    size_t size = 0;
    const weft_code code = weft_embed(held->session, tokens, 3, vector.data(),
                                      vector.size(), &size, nullptr);
    out[0] = static_cast<int64_t>(vector[0] * 1e6f);
    out[1] = static_cast<int64_t>(size);
    return static_cast<Code>(code);
  };
}

// ---- Texts ----

Scenario Texts() {
  return [held = Opened()](Results& out) {
    std::array<int32_t, 16> tokens = {};
    std::array<char, 64> text;
    size_t count = 0, size = 0, piece = 0;
    Calls calls;
    calls
        .Then([&] {
          return weft_tokenize(held->model, "abcd x", 6, WEFT_ADD_SPECIAL,
                               tokens.data(), tokens.size(), &count, nullptr);
        })
        .Then([&] {
          return weft_detokenize(held->model, tokens.data(), count, 0,
                                 text.data(), text.size(), &size, nullptr);
        })
        .Then([&] {
          return weft_token_piece(held->model, tokens[1], 0, text.data(),
                                  text.size(), &piece, nullptr);
        });
    out = {static_cast<int64_t>(count), static_cast<int64_t>(size),
           static_cast<int64_t>(piece)};
    return calls.code();
  };
}

Scenario Chat() {
  return [held = Opened()](Results& out) {
    const weft_chat_message messages[] = {{"system", "be brief"},
                                          {"user", "hello"}};
    std::array<char, 256> text;
    size_t size = 0;
    const weft_code code = weft_chat(held->model, messages, 2, text.data(),
                                     text.size(), &size, nullptr);
    out[0] = static_cast<int64_t>(size);
    return static_cast<Code>(code);
  };
}

// ---- Samplers ----

// Tokens that a sampler of equal logits chooses.
template <class Set>
Scenario Sampling(Set set) {
  return [set, held = Opened()](Results& out) {
    static constexpr std::array<float, 512> kLogits = {};
    Handles h;
    weft_sampler_options o;
    weft_sampler_defaults(&o, sizeof o);
    o.model = held->model;
    set(o);
    const auto n = static_cast<size_t>(weft_model_vocab_size(held->model));
    const int32_t prompt[] = {1, 2, 3};
    Calls calls;
    calls.Then([&] { return weft_sampler_new(&o, &h.sampler, nullptr); })
        .Then([&] {
          return weft_sampler_observe(h.sampler, prompt, 3, nullptr);
        });
    for (int64_t& token : out) {
      int32_t drawn = 0;
      calls
          .Then([&] {
            return weft_sampler_sample(h.sampler, kLogits.data(), n, &drawn,
                                       nullptr);
          })
          .Then([&] { return weft_sampler_accept(h.sampler, drawn, nullptr); });
      token = drawn;
    }
    return calls.Then([&] { return weft_sampler_reset(h.sampler, nullptr); })
        .code();
  };
}

Scenario SamplerOfEveryStep() {
  return Sampling([](weft_sampler_options& o) {
    o.repeat_penalty = 1.5f;
    o.dry_multiplier = 1;
    o.xtc_probability = 0.5f;
    o.logit_bias = "7+1.5,8-inf";
    o.chain = "logit_bias;penalties;dry;top_k;xtc;temperature";
  });
}

Scenario SamplerOfAGrammar() {
  return Sampling([](weft_sampler_options& o) {
    o.temperature = 0;
    o.grammar = "root ::= (ab | \"b\" [ab])* \nab ::= \"ab\"{2,3}";
  });
}

Scenario SamplerOfASchema() {
  return Sampling([](weft_sampler_options& o) {
    o.temperature = 0;
    o.json_schema = "{\"type\": \"array\", \"items\": {\"const\": 1}}";
  });
}

// ---- Graphs ----

// Every function that builds, one after another.
void BuildAll(weft_graph* g) {
  const weft_dim rows[] = {{4, "T"}, {8, nullptr}},
                 square[] = {{8, nullptr}, {8, nullptr}},
                 heads[] = {{4, "T"}, {2, nullptr}, {4, nullptr}},
                 sum[] = {{4, nullptr}};
  const weft_value x = weft_graph_input(g, "x", "f32", rows, 2);
  const weft_value w = weft_graph_weight(g, "w", "f32", square, 2);
  const weft_value both[] = {weft_graph_rms_norm(g, x, 1e-5), w};
  const weft_value product = weft_graph_op(g, "linear", both, 2);
  const weft_value norm = weft_graph_layer_norm(g, product, 1e-5);
  const weft_value q = weft_graph_reshape(g, norm, heads, 3);
  const std::array<float, 8> keys = {1, 2, 3};
  const int64_t dims[] = {1, 2, 4}, order[] = {1, 0};
  const weft_value k = weft_graph_constant(g, keys.data(), dims, 3);
  const weft_value a = weft_graph_attend(g, q, k, k, 0.5, nullptr);
  const weft_value flat = weft_graph_reshape(g, a, rows, 2);
  const weft_value parts[] = {weft_graph_slice(g, flat, 1, 0, 4),
                              weft_graph_slice(g, flat, -1, 4, 8)};
  const weft_value y = weft_graph_concat(g, parts, 2, 1);
  weft_graph_output(g, "y", weft_graph_scale(g, y, 2));
  const weft_value kept = weft_graph_state(g, "kept", "f32", sum, 1);
  const float ones[] = {1, 1, 1, 1};
  const int64_t four[] = {4};
  const weft_value more[] = {kept, weft_graph_constant(g, ones, four, 1)};
  const weft_value next[] = {kept, weft_graph_op(g, "add", more, 2)};
  weft_graph_output(g, "next", weft_graph_op(g, "assign", next, 2));
  const weft_value turned = weft_graph_permute(g, w, order, 2);
  weft_graph_output(g, "turned", weft_graph_op(g, "exp", &turned, 1));
}

Scenario BuildCompileAndRun() {
  return [](Results& out) {
    static constexpr std::array<float, 64> kWeight = {1, 2, 3};
    const weft_named_weight weight = {"w", kWeight.data(), sizeof kWeight};
    weft_runner_options o = {};
    o.size = sizeof o;
    o.weights = &weight;
    o.weight_count = 1;
    o.threads = 2;
    Handles h;
    const std::array<float, 8> in = {1, 2};
    std::array<float, 8> y = {};
    const weft_tensor x = {in.data(), sizeof in, nullptr, 2, {1, 8}};
    const weft_buffer to = {y.data(), sizeof y};
    size_t graph = 0, report = 0;
    Calls calls;
    calls.Then([&] { return weft_graph_new(&h.graph, nullptr); })
        .Then([&] {
          BuildAll(h.graph);
          return weft_runner_new(h.graph, &o, &h.runner, nullptr);
        })
        .Then([&] { return weft_runner_run(h.runner, &x, 1, &to, 1, nullptr); })
        .Then([&] {
          return weft_runner_graph(h.runner, nullptr, 0, &graph, nullptr);
        })
        .Then([&] {
          return weft_runner_fusion_report(h.runner, nullptr, 0, &report,
                                           nullptr);
        });
    for (size_t i = 0; i < y.size(); ++i)
      out[i] = static_cast<int64_t>(y[i] * 1e6f);
    return calls.code();
  };
}

Scenario RunnerOfAFile() {
  Path();
  return [](Results& out) {
    weft_runner_options o = {};
    o.size = sizeof o;
    o.weights_path = Path().c_str();
    Handles h;
    std::array<float, 32> y = {};
    const weft_buffer to = {y.data(), sizeof y};
    Calls calls;
    calls.Then([&] { return weft_graph_new(&h.graph, nullptr); })
        .Then([&] {
          const weft_dim width[] = {{32, nullptr}};
          const weft_value w =
              weft_graph_weight(h.graph, "output_norm.weight", "f32", width, 1);
          weft_graph_output(h.graph, "y", weft_graph_scale(h.graph, w, 2));
          return weft_runner_new(h.graph, &o, &h.runner, nullptr);
        })
        .Then([&] {
          return weft_runner_run(h.runner, nullptr, 0, &to, 1, nullptr);
        });
    out[0] = static_cast<int64_t>(y[0] * 1e6f);
    return calls.code();
  };
}

// ----

constexpr NamedScenario kScenarios[] = {
    {"LoadPath", LoadPath},
    {"LoadMemory", LoadMemory},
    {"LoadDescriptor", LoadDescriptor},
    {"LoadCallback", LoadCallback},
    {"LoadAdapter", LoadAdapter},
    {"NewSession", NewSession},
    {"Estimate", Estimate, 300},
    {"Reports", Reports},
    {"Steps", Steps},
    {"ForkSaveAndRestore", ForkSaveAndRestore},
    {"EmbedText", EmbedText},
    {"Texts", Texts},
    {"Chat", Chat},
    {"SamplerOfEveryStep", SamplerOfEveryStep},
    {"SamplerOfAGrammar", SamplerOfAGrammar},
    {"SamplerOfASchema", SamplerOfASchema},
    {"BuildCompileAndRun", BuildCompileAndRun},
    {"RunnerOfAFile", RunnerOfAFile},
};

class FaultInjectionC : public testing::TestWithParam<NamedScenario> {};

TEST_P(FaultInjectionC, EveryAllocationMayFail) { FailEach(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Doors, FaultInjectionC, testing::ValuesIn(kScenarios),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace weft::inline v0

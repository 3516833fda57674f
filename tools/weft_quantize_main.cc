// weft-quantize: a model's matrices in other formats.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "graph/status_macros.h"
#include "models/atomic_file.h"
#include "models/gguf.h"
#include "models/model_file.h"
#include "models/parallel.h"
#include "tools/backend_flags.h"
#include "tools/cli.h"
#include "tools/imatrix.h"
#include "tools/mixture.h"
#include "tools/model_flags.h"
#include "tools/quantize.h"
#include "tools/stopwatch.h"
#include "tools/tensor_pattern.h"
#include "tools/terminal.h"

ABSL_FLAG(std::string, in, "",
          "the model: a GGUF file, any of several that are one model, or a "
          "directory of safetensors");
ABSL_FLAG(std::string, out, "",
          "the file to write; it appears only when it is complete");
ABSL_FLAG(std::string, type, "",
          "a format (f32, f16, q4_0, q4_k, ...), which all matrices get, or a "
          "mixture (Q2_K, Q3_K_S, Q3_K_M, Q3_K_L, Q4_K_S, Q4_K_M, Q5_K_S, "
          "Q5_K_M, Q6_K, Q8_0)");
ABSL_FLAG(bool, pure, false, "all matrices in the mixture's main format");
ABSL_FLAG(std::string, include, "",
          "PATTERN=TYPE,...: what matches gets that type. PATTERN,...: only "
          "what matches is changed, as --type says");
ABSL_FLAG(std::string, exclude, "",
          "PATTERN,...: what matches stays as it is, or gets the type of "
          "PATTERN=TYPE; goes before --include");
ABSL_FLAG(std::string, imatrix, "",
          "an importance matrix in GGUF form, as llama-imatrix writes it");
ABSL_FLAG(bool, allow_requantize, false,
          "quantise again what is quantised already, and lose more");
ABSL_FLAG(bool, dry_run, false, "show what would be done, write nothing");

namespace weft::inline v0 {
namespace {

constexpr char kUsage[] =
    R"(weft-quantize: writes a model with its matrices in other formats

  weft-quantize --in=f16.gguf --out=q4.gguf --type=Q4_K_M
  weft-quantize --in=f16.gguf --type=Q4_K_M --dry_run
  weft-quantize --in=f16.gguf --out=q.gguf --type=q4_k \
      --include="blk.*.ffn_down.weight=q6_k,output.weight=q8_0"
  weft-quantize --in=f16.gguf --out=q.gguf --type=Q3_K_M --imatrix=im.gguf
  weft-quantize --in=q8.gguf --out=f32.gguf --type=f32

Mixtures are llama.cpp's: some matrices get more bits than others. A format's
name gives it to all matrices; for Q2_K, which is both, --pure does. A matrix
whose rows do not divide into a format's blocks gets the nearest format that can
hold them. Vectors and norms stay as they are, and so does all metadata but
general.file_type and the like.

A model in several files (-00001-of-0000N.gguf) is read whole, whichever of
them --in names, and written as one file.

Each tensor's type, size and error go to standard output; the error is the root
of the mean squared error, as a share of the values'. A pattern is of a tensor's
whole name; in it * stands for any text and ? for one character.

The bytes depend on neither --threads nor the machine. An existing file is
replaced when the new one is complete, and stays as it is after an error, Ctrl-C
or a full disk. The input cannot be the output.
)";

Program MakeProgram() {
  return {.name = "weft-quantize",
          .usage = kUsage,
          .groups = {{"Files", {"in", "out", "imatrix"}},
                     {"What becomes of it",
                      {"type", "pure", "include", "exclude", "allow_requantize",
                       "dry_run"}},
                     {"Machine", {"threads"}}}};
}

constexpr double kMiB = 1 << 20;

double Share(double part, double whole) { return whole > 0 ? part / whole : 0; }

// The table on standard output. A reader who has seen enough (`| head`) is no
// reason not to write the file.
class Table {
 public:
  explicit Table(const std::vector<TensorPlan>& plan) {
    for (const TensorPlan& p : plan) {
      name_ = std::max(name_, static_cast<int>(p.tensor->name.size()));
      shape_ = std::max(shape_, static_cast<int>(Shape(p).size()));
      to_ = std::max(to_, static_cast<int>(To(p).size()));
    }
  }

  absl::Status Header() {
    return Line("tensor", "shape", "from", "to", "MiB", "error");
  }

  // Without an error where nothing was encoded.
  absl::Status Row(const TensorPlan& p, std::optional<double> error) {
    return Line(p.tensor->name, Shape(p), Name(p.tensor->dtype), To(p),
                absl::StrFormat("%.2f", static_cast<double>(p.bytes()) / kMiB),
                error ? absl::StrFormat("%.5f", *error) : "-");
  }

  absl::Status Text(absl::string_view text) {
    const absl::Status status = Print(text);
    return IsReaderGone(status) ? absl::OkStatus() : status;
  }

 private:
  static std::string Shape(const TensorPlan& p) {
    return absl::StrCat("[", absl::StrJoin(p.tensor->dims, ","), "]");
  }
  static std::string To(const TensorPlan& p) {
    return absl::StrCat(Name(p.type), p.is_fallback ? " (fallback)" : "");
  }

  absl::Status Line(absl::string_view name, absl::string_view shape,
                    absl::string_view from, absl::string_view to,
                    absl::string_view size, absl::string_view error) {
    return Text(absl::StrFormat("%-*s  %-*s  %-7s  %-*s  %9s  %7s\n", name_,
                                name, shape_, shape, from, to_, to, size,
                                error));
  }

  int name_ = 6, shape_ = 5, to_ = 7;
};

// What all tensors together come to.
struct Totals {
  double elements = 0, bytes_before = 0, bytes_after = 0;
  int count = 0, encoded = 0, fallbacks = 0;
  EncodeError error;

  void Add(const TensorPlan& p) {
    ++count;
    elements += static_cast<double>(p.elements());
    bytes_before += static_cast<double>(p.tensor->bytes);
    bytes_after += static_cast<double>(p.bytes());
    encoded += !p.is_copy();
    fallbacks += p.is_fallback && !p.is_copy();
  }

  std::string Summary() const {
    std::string text = absl::StrFormat(
        "%.2f MiB (%.3f bits per weight) -> %.2f MiB (%.3f bits per weight)\n"
        "%d tensors: %d encoded, %d copied",
        bytes_before / kMiB, 8 * Share(bytes_before, elements),
        bytes_after / kMiB, 8 * Share(bytes_after, elements), count, encoded,
        count - encoded);
    if (fallbacks > 0)
      absl::StrAppend(&text, "; ", fallbacks, " with a fallback format");
    if (error.squared_values > 0)
      absl::StrAppendFormat(&text, "\nerror of all that was encoded: %.5f",
                            error.RelativeRms());
    return absl::StrCat(text, "\n");
  }
};

struct Job {
  std::string in, out;
  bool dry_run = false;
  QuantizeOptions options;
  std::optional<Imatrix> imatrix;
};

absl::Status ReadFlags(Job& job) {
  job.in = absl::GetFlag(FLAGS_in);
  job.out = absl::GetFlag(FLAGS_out);
  job.dry_run = absl::GetFlag(FLAGS_dry_run);
  const std::string type = absl::GetFlag(FLAGS_type);
  if (job.in.empty())
    return absl::InvalidArgumentError(
        "which model? --in=FILE names it; see weft-quantize --help");
  if (type.empty())
    return absl::InvalidArgumentError(
        absl::StrCat("which format? --type is one of ", MixtureNames()));
  if (job.out.empty() && !job.dry_run)
    return absl::InvalidArgumentError(
        "where to? --out=FILE gets the model; --dry_run writes nothing");
  QuantizeOptions& o = job.options;
  WEFT_ASSIGN_OR_RETURN(o.mixture,
                        FindMixture(type, absl::GetFlag(FLAGS_pure)));
  WEFT_ASSIGN_OR_RETURN(
      o.include, ParseTensorPatterns("include", absl::GetFlag(FLAGS_include)));
  WEFT_ASSIGN_OR_RETURN(
      o.exclude, ParseTensorPatterns("exclude", absl::GetFlag(FLAGS_exclude)));
  o.allow_requantize = absl::GetFlag(FLAGS_allow_requantize);
  return CheckFlag("threads", absl::GetFlag(FLAGS_threads), 0, 1024);
}

absl::Status OpenImatrix(Job& job) {
  const std::string path = absl::GetFlag(FLAGS_imatrix);
  if (path.empty()) return absl::OkStatus();
  WEFT_RETURN_IF_ERROR(CheckNotSameFile(path, job.out));
  WEFT_ASSIGN_OR_RETURN(job.imatrix, Imatrix::Open(path));
  job.options.imatrix = &*job.imatrix;
  return absl::OkStatus();
}

// Some matrices are never measured (the output, by default); too many mean that
// it is another model's.
void WarnOfMissingImportance(const Job& job,
                             const std::vector<TensorPlan>& plan) {
  if (!job.imatrix) return;
  int encoded = 0, missing = 0;
  std::string example;
  for (const TensorPlan& p : plan) {
    if (p.is_copy()) continue;
    ++encoded;
    if (job.imatrix->Has(p.tensor->name)) continue;
    ++missing;
    if (example.empty()) example = std::string(p.tensor->name);
  }
  if (missing > 0)
    Warn(absl::StrCat(job.imatrix->source(), " says nothing about ", missing,
                      " of ", encoded, " matrices, such as ", example));
}

absl::Status ShowPlan(const std::vector<TensorPlan>& plan) {
  Table table(plan);
  Totals totals;
  WEFT_RETURN_IF_ERROR(table.Header());
  for (const TensorPlan& p : plan) {
    totals.Add(p);
    WEFT_RETURN_IF_ERROR(table.Row(p, std::nullopt));
  }
  return table.Text(totals.Summary());
}

absl::Status Write(const Job& job, const GgufFile& file,
                   const std::vector<TensorPlan>& plan) {
  const Stopwatch time;
  Table table(plan);
  Totals totals;
  Progress progress("quantizing");
  double values = 0, done = 0;
  for (const TensorPlan& p : plan) values += static_cast<double>(p.elements());
  EncodeContext context;
  context.threads = ThreadCount(absl::GetFlag(FLAGS_threads));
  context.cancel = &CatchInterrupt();
  context.progress = [&](int64_t n) {
    done += static_cast<double>(n);
    progress.Update(Share(done, values));
  };
  const auto tensor_done = [&](const TensorPlan& p, const EncodeError& error) {
    progress.Clear();
    if (totals.count == 0) WEFT_RETURN_IF_ERROR(table.Header());
    totals.Add(p);
    totals.error.Add(error);
    return table.Row(p, p.is_copy()
                            ? std::nullopt
                            : std::optional<double>(error.RelativeRms()));
  };
  WEFT_RETURN_IF_ERROR(
      WriteQuantized(file, job.options, plan, job.out, context, tensor_done));
  progress.Clear();
  WEFT_RETURN_IF_ERROR(table.Text(totals.Summary()));
  Say(absl::StrFormat("wrote %s in %.1f s", job.out, time.Seconds()));
  return absl::OkStatus();
}

absl::Status Run(const Arguments&) {
  Job job;
  WEFT_RETURN_IF_ERROR(ReadFlags(job));
  WEFT_ASSIGN_OR_RETURN(const GgufFile file, OpenModelFile(job.in));
  if (!job.dry_run)
    for (const std::string& in : file.files())
      WEFT_RETURN_IF_ERROR(CheckNotSameFile(in, job.out));
  ShowWarnings(file.warnings());
  WEFT_RETURN_IF_ERROR(OpenImatrix(job));
  WEFT_ASSIGN_OR_RETURN(const std::vector<TensorPlan> plan,
                        PlanQuantization(file, job.options));
  WarnOfMissingImportance(job, plan);
  return job.dry_run ? ShowPlan(plan) : Write(job, file, plan);
}

}  // namespace
}  // namespace weft::inline v0

int main(int argc, char** argv) {
  return weft::RunProgram(weft::MakeProgram(), argc, argv, weft::Run);
}

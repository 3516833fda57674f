// weft-quantize on small models.
#ifndef WEFT_TESTS_QUANTIZE_UTIL_H_
#define WEFT_TESTS_QUANTIZE_UTIL_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "models/gguf.h"
#include "tests/gguf_builder.h"
#include "tests/tool_runner.h"

namespace weft::inline v0 {

// Runs weft-quantize --in=`in` --out=`out` with other arguments.
ToolResult Quantize(const std::string& in, const std::string& out,
                    std::vector<std::string> args,
                    const ToolOptions& options = {});

// A file that must be there and valid.
GgufFile Opened(const std::string& path);
// The bytes of a tensor's data; it must be there.
std::string DataOf(const GgufFile& file, absl::string_view name);
DType TypeIn(const GgufFile& file, absl::string_view name);

// In f32: blk.0.attn_q.weight [8,512], blk.0.ffn_up_exps.weight [2,6,256] of
// two experts, blk.0.attn_norm.weight [512], and the router
// blk.0.ffn_gate_inp.weight [2,512].
GgufSpec SmallModel();
// Writes it to a scratch file, whose path it gives.
std::string WriteModel(const GgufSpec& spec, const std::string& name);

// The path of a model in f16 of a few MB, made once per process.
std::string TinyModel();

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_QUANTIZE_UTIL_H_

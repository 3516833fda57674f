// The first 24 bytes: magic, version, counts.
#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "graph/status_macros.h"
#include "models/gguf_internal.h"

namespace weft::inline v0 {
namespace {

constexpr absl::string_view kMagic = "GGUF";

// What people open by mistake, by its first bytes. The old ggml formats wrote
// their magic as a little-endian number, hence backwards.
absl::string_view HintForMagic(absl::string_view start) {
  constexpr struct {
    absl::string_view magic, hint;
  } kKnown[] = {
      {"lmgg", "this is the old format GGML: convert the model to GGUF"},
      {"GGML", "this is the old format GGML: convert the model to GGUF"},
      {"fmgg", "this is the old format GGMF: convert the model to GGUF"},
      {"ggmf", "this is the old format GGMF: convert the model to GGUF"},
      {"tjgg", "this is the old format GGJT: convert the model to GGUF"},
      {"ggjt", "this is the old format GGJT: convert the model to GGUF"},
      {"algg", "this is a GGLA adapter: convert it to GGUF"},
      {"ggla", "this is a GGLA adapter: convert it to GGUF"},
      {"FUGG", "this is a byte-swapped file"},
      {"PK\3\4", "this is a ZIP archive, maybe a PyTorch checkpoint"},
      {"vers", "maybe a Git LFS pointer instead of the file itself"},
      {"<!DO", "this is an HTML page"},
  };
  for (const auto& [magic, hint] : kKnown)
    if (start == magic) return hint;
  return "";
}

absl::Status CheckMagic(const GgufInput& in, ByteReader reader) {
  if (in.bytes.empty())
    return in.Error(absl::StatusCode::kDataLoss,
                    {.id = "GGUF-H1",
                     .field = "size of the file",
                     .value = "0 bytes",
                     .expected = "a GGUF header of 24 bytes",
                     .hint = "empty file"});
  const absl::string_view start =
      *reader.ReadBytes(std::min<uint64_t>(kMagic.size(), reader.remaining()));
  if (start.size() == kMagic.size() && start != kMagic)
    return in.Error(absl::StatusCode::kInvalidArgument,
                    {.id = "GGUF-H3",
                     .field = "magic",
                     .value = QuoteInput(start),
                     .expected = QuoteInput(kMagic),
                     .hint = std::string(HintForMagic(start))});
  if (in.bytes.size() >= kGgufHeaderBytes) return absl::OkStatus();
  return in.Error(absl::StatusCode::kDataLoss,
                  {.id = "GGUF-H2",
                   .at = in.bytes.size(),
                   .field = "size of the file",
                   .value = absl::StrCat(in.bytes.size(), " bytes"),
                   .expected = "at least 24 bytes",
                   .hint = "the header needs 24 bytes"});
}

absl::Status CheckVersion(const GgufInput& in, uint32_t version) {
  InputError error{.at = 4,
                   .field = "version",
                   .value = absl::StrCat(version),
                   .expected = "2 or 3"};
  if (version == 2 || version == 3) return absl::OkStatus();
  if (version == 0) {
    error.id = "GGUF-H4";
    error.hint = "there is no version 0";
    return in.Error(absl::StatusCode::kInvalidArgument, error);
  }
  if (version == 1) {
    error.id = "GGUF-H5";
    error.hint = "version 1 no longer supported: convert the file again";
  } else if ((version & 0xffff) == 0) {
    // A small number read with its bytes reversed.
    error.id = "GGUF-H7";
    error.hint = "this is a big-endian file";
  } else {
    error.id = "GGUF-H6";
    error.hint = absl::StrCat("version ", version, " is unknown to weft");
  }
  return in.Error(absl::StatusCode::kUnimplemented, error);
}

absl::Status CheckCount(const GgufInput& in, InputError error, uint64_t count,
                        uint64_t item_bytes) {
  const ByteReader rest(in.bytes, kGgufHeaderBytes);
  if (rest.CanHold(count, item_bytes)) return absl::OkStatus();
  error.value = absl::StrCat(count);
  error.expected = absl::StrCat("no more than fit; the file can hold at most ",
                                rest.remaining() / item_bytes);
  return in.Error(absl::StatusCode::kDataLoss, error);
}

}  // namespace

absl::Status GgufInput::CutOff(absl::string_view id, const ByteReader& reader,
                               std::string field, uint64_t need) const {
  return Error(
      absl::StatusCode::kDataLoss,
      {.id = id,
       .at = reader.position(),
       .field = std::move(field),
       .value = absl::StrCat("cut off after ", reader.remaining(), " bytes"),
       .expected = absl::StrCat(need, " bytes")});
}

absl::StatusOr<GgufHeader> ReadGgufHeader(const GgufInput& in,
                                          ByteReader& reader) {
  WEFT_RETURN_IF_ERROR(CheckMagic(in, reader));
  GgufHeader header;
  // CheckMagic saw that all 24 bytes are there.
  reader.ReadBytes(kMagic.size());
  header.version = *reader.Read<uint32_t>();
  header.n_tensors = *reader.Read<uint64_t>();
  header.n_kv = *reader.Read<uint64_t>();
  WEFT_RETURN_IF_ERROR(CheckVersion(in, header.version));
  WEFT_RETURN_IF_ERROR(
      CheckCount(in, {.id = "GGUF-H8", .at = 8, .field = "n_tensors"},
                 header.n_tensors, kMinTensorInfoBytes));
  WEFT_RETURN_IF_ERROR(CheckCount(in,
                                  {.id = "GGUF-H9", .at = 16, .field = "n_kv"},
                                  header.n_kv, kMinKeyValueBytes));
  return header;
}

}  // namespace weft::inline v0

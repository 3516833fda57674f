// A slot's sequence as bytes, and copies of it.
//
// Layout, little-endian:
//   0  "weftseq\n"    8 bytes
//   8  u32            version, 1
//   12 u32            0
//   16 u64            fingerprint of the model, its adapters and the kinds of
//                     its states
//   24 u64            positions: tokens of the sequence
//   32 u64            bytes of rows
//   40 u64            checksum of bytes 0 to 39 and of the rows
//   48                rows, as Executable::SaveSlot writes them
//
// All is checked before the first byte of the slot changes.
#include <algorithm>
#include <bit>
#include <cstring>
#include <mutex>
#include <string>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/byte_reader.h"
#include "models/checksum.h"
#include "models/engine.h"
#include "models/file_fingerprint.h"
#include "models/little_endian.h"
#include "models/no_throw.h"

namespace weft::inline v0 {
namespace {

constexpr char kMagic[] = "weftseq\n";
constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderBytes = 48;
constexpr size_t kChecksumAt = 40;

uint64_t ChecksumOf(absl::Span<const std::byte> state) {
  return Checksum(state.subspan(kHeaderBytes),
                  Checksum(state.first(kChecksumAt)));
}

absl::Status Damaged(const std::string& what) {
  return absl::DataLossError(absl::StrCat("saved sequence: ", what));
}

absl::Status Refused(const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("saved sequence: ", what));
}

}  // namespace

absl::Status Session::CheckSlot(int slot) const {
  if (HasSlot(slot)) return absl::OkStatus();
  return absl::OutOfRangeError(absl::StrCat(
      "slot ", slot, " does not exist; this session has ", options_.slots));
}

absl::Status Session::Fork(int from, int to) {
  return NoThrow([&]() -> absl::Status {
    WEFT_RETURN_IF_ERROR(CheckSlot(from));
    WEFT_RETURN_IF_ERROR(CheckSlot(to));
    executable_->CopySlot(from, to, position(from));
    positions_[static_cast<size_t>(to)] = position(from);
    written_[static_cast<size_t>(to)] = written_[static_cast<size_t>(from)];
    return absl::OkStatus();
  });
}

uint64_t Model::Fingerprint() const {
  std::call_once(fingerprint_once_, [this] {
    fingerprint_ = FileFingerprint(file_, WeightBytes::kAll);
  });
  return fingerprint_;
}

uint64_t Session::Fingerprint() const {
  if (fingerprint_ != 0) return fingerprint_;
  uint64_t sum = model_->Fingerprint();
  const absl::Span<const LoraAdapter> adapters = model_->adapters();
  for (size_t i = 0; i < adapters.size(); ++i) {
    const float scale = options_.adapter_scales[i];
    if (scale == 0) continue;
    sum = FileFingerprint(adapters[i].file(), WeightBytes::kAll,
                          sum ^ std::bit_cast<uint32_t>(scale));
  }
  // Types of states without slots and context, which may differ.
  for (const NodeId id : graph_->order()) {
    const Node& node = graph_->node(id);
    if (node.op->kind != OpKind::kState) continue;
    const TensorType& type = graph_->value(node.outputs[0]).type;
    sum = Checksum(node.name, sum + static_cast<uint64_t>(type.dtype));
    for (int axis = 2; axis < type.shape.rank(); ++axis)
      sum = Checksum("",
                     sum ^ static_cast<uint64_t>(type.shape.dim(axis).bound()));
  }
  // Rings of another size hold other rows than these sessions' truncation
  // counts on.
  sum = Checksum("", sum ^ static_cast<uint64_t>(plan().rewind));
  fingerprint_ = std::max<uint64_t>(sum, 1);
  return fingerprint_;
}

int64_t Session::StateBytes(int slot) const {
  if (!CheckSlot(slot).ok()) return 0;
  return static_cast<int64_t>(kHeaderBytes) +
         executable_->SlotBytes(position(slot));
}

absl::Status Session::SaveState(int slot, absl::Span<std::byte> out) const {
  return NoThrow([&]() -> absl::Status {
    WEFT_RETURN_IF_ERROR(CheckSlot(slot));
    if (static_cast<int64_t>(out.size()) != StateBytes(slot))
      return absl::InvalidArgumentError(
          absl::StrCat("room for ", out.size(), " bytes; the state of slot ",
                       slot, " has ", StateBytes(slot)));
    std::byte* const at = out.data();
    std::memcpy(at, kMagic, 8);
    StoreLittleEndian<uint32_t>(kVersion, at + 8);
    StoreLittleEndian<uint32_t>(0, at + 12);
    StoreLittleEndian<uint64_t>(Fingerprint(), at + 16);
    StoreLittleEndian<uint64_t>(static_cast<uint64_t>(position(slot)), at + 24);
    StoreLittleEndian<uint64_t>(out.size() - kHeaderBytes, at + 32);
    executable_->SaveSlot(slot, position(slot), out.subspan(kHeaderBytes));
    StoreLittleEndian<uint64_t>(ChecksumOf(out), at + kChecksumAt);
    return absl::OkStatus();
  });
}

absl::Status Session::RestoreState(int slot,
                                   absl::Span<const std::byte> state) {
  return NoThrow([&]() -> absl::Status {
    WEFT_RETURN_IF_ERROR(CheckSlot(slot));
    if (state.size() < kHeaderBytes)
      return Damaged(
          absl::StrCat(state.size(), " bytes; the header has ", kHeaderBytes));
    const std::byte* const at = state.data();
    if (std::memcmp(at, kMagic, 8) != 0)
      return Refused("does not begin with \"weftseq\"");
    const auto version = LoadLittleEndian<uint32_t>(at + 8);
    if (version != kVersion)
      return Refused(absl::StrCat("version ", version,
                                  "; this weft reads version ", kVersion));
    const uint64_t rows = state.size() - kHeaderBytes;
    const auto stated = LoadLittleEndian<uint64_t>(at + 32);
    if (stated != rows)
      return Damaged(
          absl::StrCat(rows, " bytes of rows; its header says ", stated));
    if (LoadLittleEndian<uint64_t>(at + kChecksumAt) != ChecksumOf(state))
      return Damaged("its checksum is wrong");
    if (LoadLittleEndian<uint64_t>(at + 16) != Fingerprint())
      return Refused(
          absl::StrCat("of another model, or with other adapters or kv types, "
                       "or (for models "
                       "with sliding windows) of another batch; this one is ",
                       model_->file().source()));
    const auto positions = LoadLittleEndian<uint64_t>(at + 24);
    if (positions > static_cast<uint64_t>(options_.context))
      return Refused(absl::StrCat(positions, " positions; this session has ",
                                  options_.context));
    const auto n = static_cast<int64_t>(positions);
    if (static_cast<uint64_t>(executable_->SlotBytes(n)) != rows)
      return Refused(absl::StrCat(rows, " bytes of rows; ", n,
                                  " positions have ",
                                  executable_->SlotBytes(n)));
    executable_->LoadSlot(slot, n, state.subspan(kHeaderBytes));
    positions_[static_cast<size_t>(slot)] = n;
    // Nobody knows how far the saved sequence had once been written: where
    // there are rings, no way back from here.
    const int64_t rewind = plan().rewind;
    written_[static_cast<size_t>(slot)] =
        rewind == kNoRewindLimit ? n : n + rewind;
    return absl::OkStatus();
  });
}

}  // namespace weft::inline v0

// What the sources of a sample hold: seeded data by the rules of
// graph/sample.h, for tests and benchmarks.
#ifndef WEFT_TESTS_SAMPLE_DATA_H_
#define WEFT_TESTS_SAMPLE_DATA_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "backends/backend.h"
#include "graph/host_tensor.h"
#include "graph/sample.h"

namespace weft::inline v0 {

// The inputs, weights and states of one sample, with every symbol at its bound:
// a step with fewer tokens reads the first ones. The same seed gives the same
// data.
class SampleData {
 public:
  // `from_zero`: positions begin at 0, whatever the sample says, as those of a
  // step before the sample's own do.
  SampleData(const SampleGraph& sample, uint64_t seed, bool from_zero = false);

  // The data of the source of that name; an empty tensor for other names.
  const HostTensor& Of(absl::string_view name) const;
  // The weights; valid for as long as this object.
  WeightSource weights() const;
  // Writes all inputs.
  absl::Status SetInputs(Executable& executable) const;

 private:
  std::map<std::string, HostTensor, std::less<>> tensors_;
  std::map<std::string, HostTensor, std::less<>> inputs_;
};

// Random content of any dtype that has a decoder: values of order one, which
// for block formats are random bits under scales of order 1/100.
void FillRandom(HostTensor& tensor, uint64_t seed);
// Sets every byte of codes (the fields q and qh of blocks) to `bits`.
void FillCodes(HostTensor& tensor, unsigned char bits);

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_SAMPLE_DATA_H_

// The checked reader and the form of errors that quote a file.
#include "models/byte_reader.h"

#include <cstdint>
#include <string>

#include "gtest/gtest.h"
#include "models/input_error.h"
#include "tests/gguf_builder.h"

namespace weft::inline v0 {
namespace {

constexpr uint64_t kMax = ~0ull;

TEST(CheckedTest, Add) {
  EXPECT_EQ(CheckedAdd(2, 3), 5u);
  EXPECT_EQ(CheckedAdd(kMax, 0), kMax);
  EXPECT_EQ(CheckedAdd(kMax, 1), std::nullopt);
  EXPECT_EQ(CheckedAdd(1ull << 63, 1ull << 63), std::nullopt);
}

TEST(CheckedTest, Mul) {
  EXPECT_EQ(CheckedMul(0, kMax), 0u);
  EXPECT_EQ(CheckedMul(kMax, 0), 0u);
  EXPECT_EQ(CheckedMul(kMax, 1), kMax);
  EXPECT_EQ(CheckedMul(1ull << 32, (1ull << 32) - 1), (kMax >> 32) << 32);
  EXPECT_EQ(CheckedMul(1ull << 32, 1ull << 32), std::nullopt);
}

TEST(CheckedTest, RoundUp) {
  EXPECT_EQ(CheckedRoundUp(0, 32), 0u);
  EXPECT_EQ(CheckedRoundUp(33, 32), 64u);
  EXPECT_EQ(CheckedRoundUp(33, 1), 33u);
  EXPECT_EQ(CheckedRoundUp(kMax - 31, 32), kMax - 31);
  EXPECT_EQ(CheckedRoundUp(kMax - 30, 32), std::nullopt);
}

TEST(ByteReaderTest, ReadsLittleEndianNumbers) {
  const std::string bytes = "\x01\x02\x03\x04\x05\x06\x07\x08\xff";
  ByteReader reader(AsBytes(bytes));
  EXPECT_EQ(reader.Read<uint16_t>(), 0x0201);
  EXPECT_EQ(reader.Read<uint32_t>(), 0x06050403u);
  EXPECT_EQ(reader.position(), 6u);
  EXPECT_EQ(reader.remaining(), 3u);
  ByteReader ahead = reader;
  EXPECT_EQ(ahead.Read<uint16_t>(), 0x0807);
  EXPECT_EQ(ahead.Read<int8_t>(), -1);
  EXPECT_EQ(ahead.Read<uint8_t>(), std::nullopt);
}

TEST(ByteReaderTest, AFailedReadMovesNothing) {
  const std::string bytes = "abc";
  ByteReader reader(AsBytes(bytes));
  EXPECT_EQ(reader.Read<uint32_t>(), std::nullopt);
  EXPECT_EQ(reader.ReadBytes(4), std::nullopt);
  EXPECT_EQ(reader.ReadBytes(kMax), std::nullopt);
  EXPECT_EQ(reader.position(), 0u);
  EXPECT_EQ(reader.ReadBytes(3), "abc");
  EXPECT_EQ(reader.ReadBytes(0), "");
  EXPECT_EQ(reader.ReadBytes(1), std::nullopt);
}

TEST(ByteReaderTest, CountsAreBoundedByWhatRemains) {
  const std::string bytes(28, 'x');
  const ByteReader reader(AsBytes(bytes));
  EXPECT_TRUE(reader.CanHold(2, 14));
  EXPECT_FALSE(reader.CanHold(3, 14));
  EXPECT_FALSE(reader.CanHold(1ull << 61, 8));
  EXPECT_FALSE(reader.CanHold(kMax, 1));
  EXPECT_TRUE(ByteReader({}).CanHold(0, 8));
}

TEST(QuoteInputTest, EscapesAndCuts) {
  EXPECT_EQ(QuoteInput(""), "\"\"");
  EXPECT_EQ(QuoteInput("a\"\n\x1b\xff"), "\"a\\\"\\n\\x1b\\xff\"");
  EXPECT_EQ(QuoteInput(std::string(128, 'a')),
            "\"" + std::string(128, 'a') + "\"");
  EXPECT_EQ(QuoteInput(std::string(129, 'a')),
            "\"" + std::string(128, 'a') + "\"...");
  // No escape of four characters is split.
  EXPECT_EQ(QuoteInput(std::string(1000, '\xff')).size(), 32u * 4 + 5);
  EXPECT_EQ(QuoteInput("ab" + std::string(1000, '\xff')).size(), 126u + 5);
}

TEST(InputErrorTest, Form) {
  const InputError error{.id = "X-1",
                         .at = 7,
                         .field = "n",
                         .value = "3",
                         .expected = "at most 2"};
  EXPECT_EQ(FormatInputError("f", error),
            "f: X-1 at byte 7: n is 3; expected at most 2");
}

}  // namespace
}  // namespace weft::inline v0

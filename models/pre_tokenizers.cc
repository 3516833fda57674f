// The names of tokenizer.ggml.pre and their patterns.
#include <algorithm>
#include <array>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "models/pre_tokenizers.h"

namespace weft::inline v0 {
namespace {

// Stand for parts that many patterns share.
constexpr absl::string_view kContraction =
    "'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])";
// White space: up to its last line feed; else all but the last character if a
// word follows, for that one belongs to the word; else all.
constexpr absl::string_view kTail = R"((?:\h*+[\r\n])++|\s+(?!\S)|\s+)";
// Punctuation or a symbol, which is what no other category has. "~" is not
// among llama.cpp's symbols.
constexpr absl::string_view kMark = R"([^\p{L}\p{M}\p{N}\p{Z}\p{C}~])";
constexpr absl::string_view kSpaces =
    R"(\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F})"
    R"(\x{205F}\x{3000})";
constexpr absl::string_view kSpacesInLine =
    R"(\t\x{B}\f \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029})"
    R"(\x{202F}\x{205F}\x{3000})";

constexpr absl::string_view kGpt2Words =
    R"('(?:[stmd]|re|ve|ll)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))";
constexpr absl::string_view kThreeDigits = "[0-9][0-9][0-9]";

constexpr PreSplit kDefault[] = {
    {R"([\p{P}\$\+<=>\^~\|]+)"}, {kGpt2Words}, {R"(\p{N}+)"}, {kThreeDigits}};
constexpr PreSplit kGpt2[] = {{kGpt2Words}};
constexpr PreSplit kStarcoder[] = {{R"(\p{N})"}, {kGpt2Words}};
constexpr PreSplit kFalcon[] = {
    {R"([\p{P}\$\+<=>\^~\|`]+)"}, {kGpt2Words}, {kThreeDigits}};
constexpr PreSplit kLlama3[] = {
    {R"(<contraction>|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3})"
     R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|<tail>)"}};
// The rest of a run of white space has no line feed: where one begins within a
// run, looking for it again would take quadratic time.
constexpr PreSplit kJais2[] = {
    {R"(<contraction>|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3})"
     R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|(?<!\h)(?:\h*+[\r\n])++)"
     R"(|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S))"
     R"(|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s)"}};
constexpr PreSplit kQwen2[] = {
    {R"(<contraction>|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N})"
     R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|<tail>)"}};
constexpr PreSplit kQwen35[] = {
    {R"(<contraction>|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N})"
     R"(| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|<tail>)"}};
constexpr PreSplit kUfakzeka[] = {
    {R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|<tail>)"}};
constexpr PreSplit kSeedCoder[] = {
    {R"(<contraction>|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+)"
     R"(|<tail>)"}};
constexpr PreSplit kLaguna[] = {{R"([^\n]+|\n+)"}, {kQwen2[0].pattern}};
constexpr PreSplit kMinicpm5[] = {
    {R"(\p{N}{1,3})"},
    {R"(<contraction>|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+)"
     R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|<tail>)"}};
constexpr PreSplit kExaoneMoe[] = {
    {R"(<contraction>)"
     R"(|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*+(?: \p{L}\p{M}*+)*+)++|\p{N})"
     R"(| ?[^\s\p{L}\p{N}]+[\r\n/]?|<tail>)"}};
constexpr PreSplit kBloom[] = {
    {R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+)"}};
constexpr PreSplit kViking[] = {{kBloom[0].pattern}, {R"(\p{N})"}};

// A letter other than a-z is [^\P{L}a-z].
constexpr PreSplit kTekken[] = {
    {R"([^\r\n\p{L}\p{N}]?[^\P{L}a-z]*[^\P{L}A-Z]+)"
     R"(|[^\r\n\p{L}\p{N}]?[^\P{L}a-z]+[^\P{L}A-Z]*)"
     R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|<tail>)"}};
constexpr PreSplit kGpt4o[] = {
    {R"([^\r\n\p{L}\p{N}]?[^\P{L}a-z]*[^\P{L}A-Z]+(?:<contraction>)?)"
     R"(|[^\r\n\p{L}\p{N}]?[^\P{L}a-z]+[^\P{L}A-Z]*(?:<contraction>)?)"
     R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|<tail>)"}};
// The same with combining marks: what is neither of the other categories.
constexpr PreSplit kGraniteEmbed[] = {
    {R"([^\r\n\p{L}\p{N}]?[^\p{N}\p{P}\p{S}\p{Z}\p{C}a-z]*)"
     R"([^\p{N}\p{P}\p{S}\p{Z}\p{C}A-Z]+(?:<contraction>)?)"
     R"(|[^\r\n\p{L}\p{N}]?[^\p{N}\p{P}\p{S}\p{Z}\p{C}a-z]+)"
     R"([^\p{N}\p{P}\p{S}\p{Z}\p{C}A-Z]*(?:<contraction>)?)"
     R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|<tail>)"}};
// llama.cpp does not tell the cases of letters apart in these two.
constexpr PreSplit kTinyAya[] = {
    {R"((?<![0-9])[0-9]++(?![A-Za-z_]))", PreSplit::kThousands},
    {R"([^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+(?:<contraction>)?)"
     R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|<tail>)"}};
constexpr PreSplit kYoutu[] = {
    {R"([\x{AC00}-\x{D7A3}\x{3131}-\x{318E}]+)"
     R"(|[\x{FF01}\x{2026}\x{201C}\x{201D}\x{2018}\x{2019}\x{2014}\x{FF1A})"
     R"(\x{FF1B}\x{FF0C}\x{3001}-\x{303F}\x{FE30}-\x{FE4F}]+)"
     R"(|[\x{3105}-\x{312F}]+|[\x{4E00}-\x{9FA5}\x{3040}-\x{30FF}]+)"},
    {R"([^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+(?:<contraction>)?)"
     R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|<tail>)"}};

constexpr absl::string_view kHanAndKana =
    R"([\x{4E00}-\x{9FA5}\x{3040}-\x{30FF}]+)";
constexpr absl::string_view kDeepseek3Words =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+)"
    R"(|(?:[^\r\n\p{L}\p{P}\p{S}]|~)?[\p{L}\p{M}]+| ?<mark>+[\r\n]*|<tail>)";
constexpr PreSplit kDeepseek3[] = {
    {R"(\p{N}{1,3})"}, {kHanAndKana}, {kDeepseek3Words}};
constexpr PreSplit kSpark[] = {
    {R"(\p{N}{1,3})"},
    {kHanAndKana},
    {R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+)"
     R"(|(?:[^\r\n\p{L}\p{P}\p{S}]|~)?[\p{L}\p{M}]+| ?<mark>+|[\r\n])"
     R"(|\s+(?!\S)|\s+)"},
    {R"(\p{N})"}};
constexpr PreSplit kAfmoe[] = {
    {R"(\p{N}++)", PreSplit::kThousands},
    {R"([\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{F900}-\x{FAFF}\x{3040}-\x{30FF})"
     R"(\x{FF65}-\x{FF9F}\x{2F00}-\x{2FDF}\x{E40}-\x{EFF}\x{1780}-\x{17FF})"
     R"(\x{1000}-\x{109F}\x{AA60}-\x{AA7F}\x{A9E0}-\x{A9FF}\x{AC00}-\x{D7AF})"
     R"(\x{1100}-\x{11FF}]+)"},
    {kDeepseek3Words}};
// From U+0800 to the end of Han, and Hangul; no white space.
constexpr absl::string_view kFromSamaritan =
    R"([\x{800}-\x{167F}\x{1681}-\x{1FFF}\x{200B}-\x{2027}\x{202A}-\x{202E})"
    R"(\x{2030}-\x{205E}\x{2060}-\x{2FFF}\x{3001}-\x{9FA5})"
    R"(\x{AC00}-\x{D7FF}]+)";
constexpr PreSplit kDeepseekCoder[] = {{R"([\r\n])"},
                                       {R"(\s?\p{L}+)"},
                                       {R"(\s?\p{P}+)"},
                                       {kFromSamaritan},
                                       {R"(\p{N})"}};
constexpr PreSplit kDeepseekLlm[] = {
    {R"([\r\n])"},
    // The letters that have a case.
    {R"(\s?[A-Za-z)"
     R"(\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF})"
     R"(\x{1C4}-\x{293}\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377})"
     R"(\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1})"
     R"(\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556})"
     R"(\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA})"
     R"(\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A})"
     R"(\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D})"
     R"(\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D})"
     R"(\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4})"
     R"(\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC})"
     R"(\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113})"
     R"(\x{2115}\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D})"
     R"(\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E})"
     R"(\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE})"
     R"(\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F})"
     R"(\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06})"
     R"(\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A})"
     R"(\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB})"
     R"(\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF})"
     R"(\x{1E900}-\x{1E943})"
     R"(]+)"},
    {R"(\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F})"
     R"(\x{3001}\x{3002}]+)"},
    {R"((?<!\s)\s++$)"},
    {kFromSamaritan},
    {R"(\p{N}+)"}};
// Han is what llama.cpp takes for it: blocks, not the script.
constexpr PreSplit kKimi[] = {
    {R"([\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{20000}-\x{2A6DF})"
     R"(\x{2A700}-\x{2EBEF}\x{F900}-\x{FAFF}\x{2F800}-\x{2FA1F}]+)"
     R"(|[^\r\n\p{L}\p{N}]?[^\P{L}\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF})"
     R"(\x{20000}-\x{2A6DF}\x{2A700}-\x{2EBEF}\x{F900}-\x{FAFF})"
     R"(\x{2F800}-\x{2FA1F}]+(?:<contraction>)?)"
     R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|<tail>)"}};
constexpr PreSplit kSuperbpe[] = {
    {R"(\p{N}+)"}, {R"((?:[0-9]{3})++(?![0-9]))", PreSplit::kGroups}};
constexpr PreSplit kChameleon[] = {
    {"<sentinel:[0-9]+>"}, {"IMGIMG[A-I]{1,4}Z"},       {R"([\t\n]|    |  )"},
    {R"(\p{N})"},          {R"([\p{P}!-/:-@\[-`{-~])"}, {kGpt2Words}};
constexpr PreSplit kLines[] = {{R"([^\n]+|\n+)"}};

struct Named {
  absl::string_view name;
  PreTokenizer value;
};
constexpr Named kAll[] = {
    {"a.x-4.0", {.splits = kGpt2}},
    {"afmoe", {.splits = kAfmoe}},
    {"bailingmoe", {.splits = kQwen2}},
    {"bailingmoe2", {.splits = kQwen2}},
    {"bloom", {.splits = kBloom}},
    {"chameleon", {.splits = kChameleon, .add_bos = true}},
    {"chatglm-bpe", {.splits = kLlama3}},
    {"codeshell", {.splits = kStarcoder}},
    {"cohere2moe", {.splits = kTinyAya}},
    {"command-r", {.splits = kStarcoder}},
    {"dbrx", {.splits = kLlama3}},
    {"deepseek-coder", {.splits = kDeepseekCoder}},
    {"deepseek-llm", {.splits = kDeepseekLlm}},
    {"deepseek-r1-qwen", {.splits = kQwen2}},
    {"deepseek-v3", {.splits = kDeepseek3}},
    {"default", {.splits = kDefault}},
    {"exaone", {.splits = kStarcoder}},
    {"exaone-moe", {.splits = kExaoneMoe}},
    {"exaone4", {.splits = kGpt2}},
    {"f2llmv2", {.splits = kQwen2}},
    {"falcon", {.splits = kFalcon}},
    {"falcon-h1", {.splits = kLlama3, .ignore_merges = true, .add_bos = true}},
    {"falcon3", {.splits = kLlama3, .ignore_merges = true, .add_bos = true}},
    {"gemma4",
     {.splits = kLines,
      .add_bos = true,
      .raw_text = true,
      .newline_words = true}},
    {"gigachat", {.splits = kGpt2}},
    {"glm4", {.splits = kLlama3}},
    {"gpt-2", {.splits = kGpt2}},
    {"gpt-4o", {.splits = kGpt4o}},
    {"gpt3-finnish", {.splits = kBloom}},
    {"granite-docling", {.splits = kGpt2}},
    {"granite-embed-multi-311m",
     {.splits = kLines,
      .add_bos = true,
      .raw_text = true,
      .newline_words = true}},
    {"granite-embed-multi-97m",
     {.splits = kGraniteEmbed, .ignore_merges = true}},
    {"grok-2", {.splits = kQwen2}},
    {"hunyuan", {.splits = kQwen2}},
    {"hunyuan-dense", {.splits = kDeepseek3}},
    {"hy_v4", {.splits = kDeepseek3}},
    {"jais", {.splits = kGpt2}},
    {"jais-2", {.splits = kJais2}},
    {"jina-de", {.splits = kGpt2}},
    {"jina-es", {.splits = kGpt2}},
    {"jina-v1-en", {.splits = kGpt2}},
    {"jina-v2-code", {.splits = kGpt2}},
    {"jina-v2-de", {.splits = kGpt2}},
    {"jina-v2-es", {.splits = kGpt2}},
    {"jina-v5-nano",
     {.splits = kLlama3, .ignore_merges = true, .add_bos = true}},
    {"joyai-llm", {.splits = kDeepseek3}},
    {"kanana2", {.splits = kGpt4o}},
    {"kimi-k2", {.splits = kKimi}},
    {"kormo", {.splits = kQwen2}},
    {"laguna", {.splits = kLaguna}},
    {"lfm2", {.splits = kLlama3, .ignore_merges = true, .add_bos = true}},
    {"llada-moe", {.splits = kQwen2}},
    {"llama-bpe", {.splits = kLlama3, .ignore_merges = true, .add_bos = true}},
    {"llama-v3", {.splits = kLlama3, .ignore_merges = true, .add_bos = true}},
    {"llama3", {.splits = kLlama3, .ignore_merges = true, .add_bos = true}},
    {"llama4", {.splits = kGpt4o}},
    {"megrez", {.splits = kQwen2}},
    {"mellum", {.splits = kGpt2}},
    {"mellum2", {.splits = kStarcoder}},
    {"midm-2.0", {.splits = kLlama3, .ignore_merges = true, .add_bos = true}},
    {"minerva-7b", {.splits = kStarcoder}},
    {"minicpm5", {.splits = kMinicpm5, .ignore_merges = true}},
    {"minimax-m2", {.splits = kGpt4o}},
    {"modern-bert", {.splits = kGpt2}},
    {"mpt", {.splits = kGpt2}},
    {"olmo", {.splits = kGpt2}},
    {"phi-2", {.splits = kGpt2}},
    {"pixtral", {.splits = kLlama3, .ignore_merges = true, .add_bos = true}},
    {"poro-chat", {.splits = kBloom}},
    {"qwen2", {.splits = kQwen2}},
    {"qwen35", {.splits = kQwen35}},
    {"refact", {.splits = kStarcoder}},
    {"roberta-bpe", {.splits = kGpt2}},
    {"sarvam-moe", {.splits = kLines, .raw_text = true}},
    {"seed-coder", {.splits = kSeedCoder}},
    {"smaug-bpe", {.splits = kLlama3}},
    {"smollm", {.splits = kStarcoder}},
    {"solar-open", {.splits = kQwen2}},
    {"spark2_5", {.splits = kSpark}},
    {"stablelm2", {.splits = kQwen2}},
    {"starcoder", {.splits = kStarcoder}},
    {"superbpe", {.splits = kSuperbpe}},
    {"talkie", {.splits = kGpt4o}},
    {"tekken", {.splits = kTekken, .ignore_merges = true, .add_bos = true}},
    {"tiny_aya", {.splits = kTinyAya}},
    {"trillion", {.splits = kGpt2}},
    {"ufakzeka", {.splits = kUfakzeka}},
    {"viking", {.splits = kViking}},
    {"youtu", {.splits = kYoutu, .ignore_merges = true}},
};

}  // namespace

const PreTokenizer* FindPreTokenizer(absl::string_view name) {
  const auto found = std::lower_bound(
      std::begin(kAll), std::end(kAll), name,
      [](const Named& a, absl::string_view b) { return a.name < b; });
  if (found == std::end(kAll) || found->name != name) return nullptr;
  return &found->value;
}

absl::Span<const absl::string_view> PreTokenizerNames() {
  static constexpr auto kNames = [] {
    std::array<absl::string_view, std::size(kAll)> names;
    for (size_t i = 0; i < names.size(); ++i) names[i] = kAll[i].name;
    return names;
  }();
  return kNames;
}

std::string ExpandPattern(absl::string_view pattern) {
  const std::string named = absl::StrReplaceAll(
      pattern,
      {{"<contraction>", kContraction}, {"<tail>", kTail}, {"<mark>", kMark}});
  std::string out;
  bool in_set = false;
  for (size_t i = 0; i < named.size(); ++i) {
    const char c = named[i];
    if (c != '\\') {
      if (c == '[') in_set = true;
      if (c == ']') in_set = false;
      out += c;
      continue;
    }
    const char escaped = named[++i];  // no pattern ends with a backslash
    const absl::string_view set = escaped == 'h' ? kSpacesInLine : kSpaces;
    if (escaped == 'S') {
      absl::StrAppend(&out, "[^", set, "]");
    } else if (escaped != 's' && escaped != 'h') {
      out += {'\\', escaped};
    } else if (in_set) {
      absl::StrAppend(&out, set);
    } else {
      absl::StrAppend(&out, "[", set, "]");
    }
  }
  return out;
}

}  // namespace weft::inline v0

#include "tools/profile_text.h"

#include "absl/strings/str_cat.h"
#include "tools/text_table.h"

namespace weft::inline v0 {
namespace {

constexpr double kGiga = 1e9, kMega = 1e6;

const TableRow kColumns = {"us",    "of time",  "MB",        "GB/s",   "MOP",
                           "GOP/s", "of limit", "imbalance", "waiting"};

TableRow Columns(const ProfileRow& row, const ProfileSummary& profile,
                 const Limits& limits) {
  const StepProfile& t = row.time;
  const auto runs = static_cast<double>(profile.runs);
  const auto bytes = static_cast<double>(row.work.bytes());
  const auto operations = static_cast<double>(row.work.total_operations());
  const Shares shares = SharesOf(row.work.bytes(), row.work, t.elapsed, limits);
  return {ShortNumber(1e6 * t.elapsed / runs),
          Percent(t.elapsed / profile.elapsed),
          ShortNumber(bytes / runs / kMega),
          ShortNumber(bytes / t.elapsed / kGiga),
          ShortNumber(operations / runs / kMega),
          ShortNumber(operations / t.elapsed / kGiga),
          PartOfLimit(shares.limit(), limits),
          t.split > 0 ? Percent(t.slowest / t.mean - 1) : "-",
          Percent(1 - t.slowest / t.elapsed)};
}

// With the number of planned steps that a row stands for.
std::string GroupTable(const char* what, const std::vector<ProfileRow>& rows,
                       const ProfileSummary& profile, const Limits& limits) {
  std::vector<TableRow> table = {{what, "steps"}};
  table[0].insert(table[0].end(), kColumns.begin(), kColumns.end());
  for (const ProfileRow& row : rows) {
    TableRow& line = table.emplace_back();
    line = {row.name, absl::StrCat(row.steps)};
    const TableRow numbers = Columns(row, profile, limits);
    line.insert(line.end(), numbers.begin(), numbers.end());
  }
  return TextTable(table, 1);
}

}  // namespace

std::string ThreadsText(int threads) {
  return absl::StrCat(threads, threads == 1 ? " thread" : " threads");
}

std::string PartOfLimit(double share, const Limits& limits) {
  return limits.bytes_per_second > 0 ? Percent(share) : "-";
}

std::string ProfileTitle(absl::string_view test,
                         const ProfileSummary& profile) {
  return absl::StrCat(
      "Profile of ", test, ", ", ThreadsText(profile.threads), ": ",
      profile.runs, " runs of ",
      ShortNumber(1e3 * profile.elapsed / static_cast<double>(profile.runs)),
      " ms each");
}

std::string KernelTable(const ProfileSummary& profile, const Limits& limits) {
  return GroupTable("kernel", profile.kernels, profile, limits);
}

std::string LayerTable(const ProfileSummary& profile, const Limits& limits) {
  return GroupTable("layer", profile.layers, profile, limits);
}

std::string NodeTable(const ProfileSummary& profile, const Limits& limits) {
  std::vector<TableRow> table = {kColumns};
  table[0].insert(table[0].begin(), "step");
  table[0].emplace_back("node");
  for (const ProfileRow& row : profile.nodes) {
    TableRow& line = table.emplace_back(Columns(row, profile, limits));
    line.insert(line.begin(), absl::StrCat(table.size() - 2));
    line.push_back(row.name);
  }
  return TextTable(table, 1, kColumns.size() + 1);
}

}  // namespace weft::inline v0

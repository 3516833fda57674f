# cmake -DDIR=<graph/dump/page> -DOUT=<file.cc> -P weft_page.cmake
# Writes the page of `graph-dump --format=html` as C++: one string for each
# file, since compilers need not take more than 64 KiB in one.
file(READ "${DIR}/page.css" css)
file(READ "${DIR}/page.html" html)
string(REPLACE "/* page.css */" "${css}" html "${html}")
set(out "// Made from graph/dump/page by weft_page.cmake.
#include \"graph/dump/page.h\"

namespace weft::inline v0 {

absl::string_view PageHead() {
  return R\"weft_page(${html})weft_page\";
}

absl::Span<const absl::string_view> PageScripts() {
  static constexpr absl::string_view kScripts[] = {")
foreach(name IN ITEMS data layout draw colours panel memory main)
  file(READ "${DIR}/${name}.js" text)
  string(APPEND out "R\"weft_page(${text})weft_page\",\n")
endforeach()
string(APPEND out "};
  return kScripts;
}

}  // namespace weft::inline v0
")
file(WRITE "${OUT}" "${out}")

#!/usr/bin/env bash
# check_symbols.sh LIBDIR RELEASE [--avx]: the libraries define weft's names and
# no others; in archives they are hidden and those of C a member of their own, in
# the shared library they carry the release. With --avx also: on x86-64 there is
# code for every instruction set, and none outside Highway's namespaces for them
# uses AVX.
set -euo pipefail
lib=$1 release=$2 failed=0
weft='^(weft_[a-z_]+|_Z(TV|TI|TS|TT|Th[n0-9_]*|Tv[n0-9_]*|GV|Z|GVZ)?N[KRO]?4weft[0-9]+v[0-9]+.*)$'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

complain() { printf 'symbols: %s\n' "$*"; failed=1; }
# complain_of FILE TEXT: if there is a line in FILE
complain_of() {
  [[ -s $1 ]] || return 0
  complain "$(wc -l <"$1") $2, such as"
  head -5 "$1"
}

own() {  # LIBRARY NM-ARGUMENT...: defines weft's names only
  local library=$1
  shift
  # "address type name"; lower-case types are local, but for u and v, w.
  nm --defined-only "$@" "$lib/$library" |
    sed -nE 's/^[0-9a-f]+ [A-Zuvw] //p' | sort -u >"$work/names"
  (($(wc -l <"$work/names") > 500)) || complain "$library has hardly any"
  sed 's/@.*//' "$work/names" |
    { grep -vE "$weft|^WEFT_[0-9.]+$" || true; } >"$work/foreign"
  complain_of "$work/foreign" "foreign names in $library"
}
for archive in libweft.a libweft_graph.a; do
  own "$archive"
  readelf --symbols --wide "$lib/$archive" |
    awk '$5 ~ /GLOBAL|WEAK|UNIQUE/ && $6 != "HIDDEN" && $7 ~ /[0-9]/ { print $8 }' \
    >"$work/shown"
  complain_of "$work/shown" "names in $archive that are not hidden"
done
nm --defined-only "$lib/libweft.a" | awk '
  /:$/ { member = $0 }
  $2 == "T" && $3 ~ /^weft_/ { if (member == "weft_c.o:") ++n; else print $3 }
  END { if (n < 60) print "nothing" }' >"$work/c"
complain_of "$work/c" "names of C in another member than weft_c.o"

if [[ -e $lib/libweft.so ]]; then
  own libweft.so -D
  sed "/@@WEFT_$release$/d; /^WEFT_$release$/d" "$work/names" >"$work/others"
  complain_of "$work/others" "names in libweft.so that are not of WEFT_$release"
  readelf --dynamic "$lib/libweft.so" >"$work/dynamic"
  grep -q "SONAME.*\[libweft\.so\.$release\]" "$work/dynamic" ||
    complain "libweft.so is not called libweft.so.$release"
fi

if [[ ${3:-} == --avx && $(uname -m) == x86_64 ]]; then
  # Functions are named with their namespaces: N_AVX2 and so on.
  objdump -d --no-show-raw-insn "$lib/libweft.a" | awk '
    /^[0-9a-f]+ <.*>:$/ {
      f = $2
      ok = match(f, /[0-9]+N_(AVX|SSE|AMX)/)  # a name behind its length
      if (ok) {
        size = substr(f, RSTART) + 0
        ++seen[substr(f, RSTART + length(size), size)]
      }
      next
    }
    !ok && /%[yz]mm|\tv[a-z]/ { if (f != last) { print "AVX in " f; ++n }
                                last = f }
    END {
      split("N_SSE2 N_AVX2 N_AVX3 N_AVX3_ZEN4", all, " ")
      for (i in all) if (!seen[all[i]]) { print "nothing in " all[i]; ++n }
      exit n > 0
    }' || complain "not the code of instruction sets that should be"
fi
((failed)) || echo "symbols: weft's own only"
exit "$failed"

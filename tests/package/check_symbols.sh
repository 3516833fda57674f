#!/bin/sh
# check_symbols.sh LIBDIR [--avx]: the libraries define weft's names and no
# others. With --avx also: on x86-64 no function outside Highway's namespaces for
# instruction sets uses AVX.
set -eu
lib=$1 failed=0
weft='^(weft_[a-z_]+|_Z(TV|TI|TS|TT|Th[n0-9_]*|Tv[n0-9_]*|GV|Z|GVZ)?N[KRO]?4weft2v0.*)$'

foreign() {  # NAME NM-ARGUMENTS...
  name=$1
  shift
  # "address type name"; lower-case types are local, but for u and v, w.
  nm --defined-only "$@" 2>/dev/null |
    sed -nE 's/^[0-9a-f]+ [A-Zuvw] //p' |
    sed 's/@.*//' | grep -vE "$weft|^WEFT_[0-9]+$" | sort -u >"/tmp/foreign.$$" || true
  if [ -s "/tmp/foreign.$$" ]; then
    echo "$name: $(wc -l <"/tmp/foreign.$$") foreign global symbols, such as"
    head -5 "/tmp/foreign.$$"
    failed=1
  fi
  rm -f "/tmp/foreign.$$"
}
foreign libweft.a "$lib/libweft.a"
foreign libweft_graph.a "$lib/libweft_graph.a"
[ ! -e "$lib/libweft.so" ] || foreign libweft.so -D "$lib/libweft.so"
[ "$(nm --defined-only "$lib/libweft.a" 2>/dev/null |
  grep -c ' T weft_')" -ge 60 ] || {
  echo "libweft.a lacks the C interface"
  failed=1
}

if [ "${2:-}" = --avx ] && [ "$(uname -m)" = x86_64 ]; then
  # Functions are named with their namespaces: N_AVX2 and so on.
  objdump -d --no-show-raw-insn "$lib/libweft.a" | awk '
    /^[0-9a-f]+ <.*>:$/ { f = $2; ok = f ~ /N_(AVX|SSE|AMX)/ ; next }
    !ok && /%[yz]mm|\tv[a-z]/ { if (f != last) { print "AVX in " f; n++ }
                                last = f }
    END { exit n > 0 }' || failed=1
fi
[ "$failed" = 0 ] && echo "symbols: weft's own only"
exit "$failed"

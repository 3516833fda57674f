#!/usr/bin/env bash
# run.sh BUILD: installs the build of weft that lies there and uses it as other
# programs do. Rows: static, shared, subproject, C alone, pkg-config, Python, two
# copies in one process, without exceptions and type information, C++20 and C++23,
# g++ and clang. Needs a few minutes; MODEL=FILE instead of the model beside the
# checkout or a random one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=$(realpath "$1")
work=$build/package prefix=$build/package/prefix
rm -rf "$work"
mkdir -p "$work"
cmake --install "$build" --prefix "$prefix" --strip >"$work/install.log"
export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name weft.pc)")
libdir=$(dirname "$PKG_CONFIG_PATH")
# As tools/dev has it.
clang=$(command -v clang++-19 || command -v clang++ || true)

model=${MODEL:-../shared/models/stories260K.gguf}
if [[ ! -e $model ]]; then
  model=$work/random.gguf
  "$build/bin/weft-synth" --preset=tiny --type=Q8_0 --out="$model" >&2
fi

row() { printf 'package: %s\n' "$*"; }
fail() { printf 'package: %s\n' "$*" >&2; exit 1; }
prompt="Once upon a time"
want=
# Runs a program that generates; all have to say the same.
says() {  # ROW COMMAND...
  local name=$1 got
  shift
  got=$(LD_LIBRARY_PATH=$libdir "$@") || fail "$name: $* failed"
  [[ -n $got ]] || fail "$name: no text"
  [[ -z $want || $got == "$want" ]] || fail "$name: says \"$got\", not \"$want\""
  want=$got
  row "$name"
}

# examples NAME TARGETS -- CMAKE-ARGUMENTS...
examples() {
  local name=$1 targets=$2
  shift 3
  cmake -S tests/examples -B "$work/$name" -G Ninja \
    -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Debug "$@" \
    >"$work/$name.log" 2>&1 &&
    # shellcheck disable=SC2086  # a list
    cmake --build "$work/$name" --target $targets >>"$work/$name.log" 2>&1 || {
    tail -30 "$work/$name.log" >&2
    fail "$name: does not build"
  }
}

sh tests/package/check_symbols.sh "$build/lib" --avx
row "no foreign symbols, no AVX in baseline code"

# What headers show of Abseil.
shown=$(grep -rhoE '#include "absl/[^"]+"' "$prefix/include/weft" | sort -u |
  grep -vE '/(status|statusor|span|string_view)\.h"' || true)
[[ -z $shown ]] || fail "headers show $shown"

examples static all -- -DCMAKE_CXX_STANDARD=20 -DCMAKE_CXX_COMPILER=g++
says "static, g++, C++20" "$work/static/bin/generate" "$model" "$prompt"
says "C program, static" "$work/static/bin/generate_c" "$model" "$prompt"
"$work/static/bin/train_digits" "$work/digits.gguf" >/dev/null
for program in digits digits_c; do
  "$work/static/bin/$program" "$work/digits.gguf" \
    <tests/examples/digits.txt | tr -d '\n' | grep -qx 0123456789 ||
    fail "$program: wrong"
done
"$work/static/bin/conversations" "$model" | grep -c . | grep -qx 8 ||
  fail "conversations: not eight"
"$work/static/bin/two_models" "$model" "$model" "$prompt" >/dev/null
"$work/static/bin/feed_forward" | grep -q qmatmul || fail "feed_forward: wrong"
row "digits in C++ and C, eight conversations, two models, the DSL alone"

examples shared "generate feed_forward digits" -- -DBUILD_SHARED_LIBS=ON \
  -DCMAKE_CXX_STANDARD=23 -DCMAKE_CXX_COMPILER=g++ \
  -DCMAKE_CXX_FLAGS="-fno-exceptions -fno-rtti -Wall -Wextra -Werror"
says "shared, g++, C++23, no exceptions, no RTTI" \
  "$work/shared/bin/generate" "$model" "$prompt"
if [[ -n $clang ]]; then
  examples clang "generate conversations" -- -DCMAKE_CXX_COMPILER="$clang" \
    -DCMAKE_CXX_STANDARD=20 -DCMAKE_CXX_FLAGS="-fno-exceptions -fno-rtti"
  says "static, clang, C++20, no exceptions, no RTTI" \
    "$work/clang/bin/generate" "$model" "$prompt"
  examples clang23 generate -- -DCMAKE_CXX_COMPILER="$clang" \
    -DBUILD_SHARED_LIBS=ON -DCMAKE_CXX_STANDARD=23
  says "shared, clang, C++23" "$work/clang23/bin/generate" "$model" "$prompt"
fi

flags="-std=c99 -Wall -Wextra -Wpedantic -Werror tests/examples/generate.c"
# shellcheck disable=SC2046,SC2086
cc $flags -o "$work/c_shared" $(pkg-config --cflags --libs weft)
says "C99, shared, pkg-config" "$work/c_shared" "$model" "$prompt"
# shellcheck disable=SC2046,SC2086
cc $flags -o "$work/c_static" \
  $(pkg-config --static --cflags --libs weft | sed 's/-lweft /-l:libweft.a /')
says "C99, static, pkg-config" "$work/c_static" "$model" "$prompt"
says "Python, ctypes" python3 tests/examples/generate.py "$libdir/libweft.so" \
  "$model" "$prompt"

# shellcheck disable=SC2046
cc -std=gnu99 -Wall -Wextra -rdynamic tests/package/two_copies.c \
  -o "$work/two_copies" -ldl \
  $(pkg-config --static --cflags --libs weft | sed 's/-lweft /-l:libweft.a /')
"$work/two_copies" "$libdir/libweft.so" "$model" >/dev/null
row "two copies in one process"

# The DSL's half is enough to see that weft works as a subproject: no tests, no
# warnings as errors, no flags of ours in the host's own compilation.
cache=$(command -v ccache || true)
examples subproject feed_forward -- -DWEFT_SOURCE="$PWD" \
  -DWEFT_HIGHWAY_DIR="$(find "$PWD/build/third_party" -maxdepth 1 \
    -name 'highway-*' -type d | head -1)" \
  -DCMAKE_BUILD_TYPE=None -DCMAKE_EXPORT_COMPILE_COMMANDS=ON \
  -DCMAKE_CXX_COMPILER_LAUNCHER="$cache" \
  -DWEFT_PCH="$([[ -n $cache ]] && echo OFF || echo ON)"
"$work/subproject/bin/feed_forward" | grep -q qmatmul || fail "subproject: wrong"
grep -q -- -Werror "$work/subproject/compile_commands.json" &&
  fail "subproject: warnings as errors"
grep -q '_test\.cc' "$work/subproject/compile_commands.json" &&
  fail "subproject: tests are built"
grep '"command".*examples/feed_forward.cc' \
  "$work/subproject/compile_commands.json" | grep -q -- '-ffp-contract\|-Wall' &&
  fail "subproject: our flags in the host's code"
row "subproject"
echo "package: all rows pass"

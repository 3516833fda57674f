#!/usr/bin/env bash
# run.sh BUILD [--full]: installs the build of weft that lies there and uses it as
# other programs do. Rows: static, shared, parts of an installation, FetchContent
# and add_subdirectory, C alone, pkg-config, Python, two copies in one process
# and two versions in one program, without exceptions and type information, C++20
# and C++23, g++ and clang. Needs a few minutes; MODEL=FILE instead of the model
# beside the checkout or a random one. --full (default: where
# CMAKE_CXX_COMPILER_LAUNCHER names a compiler cache) also compiles the whole engine
# as a subproject, which takes ten minutes without one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=$(realpath "$1")
full=${2:-${CMAKE_CXX_COMPILER_LAUNCHER:-}}
[[ -z ${2:-} || $2 == --full ]] || { echo "package: what is $2?" >&2; exit 2; }
work=$build/package prefix=$build/package/prefix
rm -rf "$work"
mkdir -p "$work"
cmake --install "$build" --prefix "$prefix" --strip >"$work/install.log"
export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name weft.pc)")
libdir=$(dirname "$PKG_CONFIG_PATH")
# CMake strips no archive. What links them is faster without.
strip --strip-debug "$libdir"/*.a
# As tools/dev has it.
clang=$(command -v clang++-19 || command -v clang++ || true)

random() {  # NAME FLAGS: a model with random weights
  "$build/bin/weft-synth" --preset=tiny "${@:2}" --out="$work/$1.gguf" >&2
}
random other --type=Q8_0 --seed=7
random qwen2 --type=Q8_0 --arch=qwen2
model=${MODEL:-../shared/models/stories260K.gguf}
if [[ ! -e $model ]]; then
  model=$work/random.gguf
  random random --type=Q8_0
fi

row() { printf 'package: %4d s  %s\n' "$SECONDS" "$*"; }
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

prints() {  # TEXT COMMAND...
  local got
  got=$("${@:2}") || fail "$2 failed"
  [[ $got == *"$1"* ]] || fail "$2: no \"$1\" in what it prints"
}

configure() {  # NAME SOURCE CMAKE-ARGUMENTS...
  cmake -S "$2" -B "$work/$1" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" \
    -DCMAKE_BUILD_TYPE=Debug "${@:3}" >"$work/$1.log" 2>&1
}
refused() {  # NAME TEXT CMAKE-ARGUMENTS...: does not configure, and says TEXT
  ! configure "$1" tests/package/consumer "${@:3}" || fail "$1: configures"
  # CMake breaks lines where it likes.
  [[ $(tr -s ' \n' ' ' <"$work/$1.log") == *"$2"* ]] || {
    cat "$work/$1.log" >&2
    fail "$1: does not say \"$2\""
  }
}
make() {  # NAME TARGETS
  # shellcheck disable=SC2086  # a list
  cmake --build "$work/$1" --target $2 >>"$work/$1.log" 2>&1
}
# consumer NAME SOURCE TARGETS -- CMAKE-ARGUMENTS...
consumer() {
  if ! configure "$1" "$2" "${@:5}" || ! make "$1" "$3"; then
    tail -30 "$work/$1.log" >&2
    fail "$1: does not build"
  fi
}
examples() { consumer "$1" tests/examples "${@:2}"; }

version=$(pkg-config --modversion weft)
release=${version%%.*}
[[ $release != 0 ]] || release=${version%.*}
tests/package/check_symbols.sh "$libdir" "$release" --avx
row "no foreign symbols, archives hide theirs, no AVX in baseline code"

# What headers show of Abseil.
shown=$(grep -rhoE '#include ["<]absl/[^">]+' "$prefix/include/weft" | sort -u |
  grep -vE '/(status|statusor|span|string_view)\.h$' || true)
[[ -z $shown ]] || fail "headers show $shown"

# ---- what is installed, by find_package ----

examples static all -- -DCMAKE_CXX_STANDARD=20 -DCMAKE_CXX_COMPILER=g++
bin=$work/static/bin
says "static, g++, C++20" "$bin/generate" "$model" "$prompt"
says "C program, static" "$bin/generate_c" "$model" "$prompt"
"$bin/train_digits" "$work/digits.gguf" >/dev/null
for program in digits digits_c; do
  "$bin/$program" "$work/digits.gguf" <tests/examples/digits.txt | tr -d '\n' |
    grep -qx 0123456789 || fail "$program: wrong"
done
"$bin/conversations" "$model" >"$work/conversations.txt"
grep -c . "$work/conversations.txt" | grep -qx 8 || fail "conversations: not eight"
other=$work/other.gguf
two=$("$bin/two_models" "$model" "$other" "$prompt")
[[ $two == "$("$bin/two_models" "$other" "$model" "$prompt" | tac)" &&
  $(uniq <<<"$two" | wc -l) == 2 ]] || fail "two_models: says \"$two\""
"$bin/own_architecture" "$work/qwen2.gguf" 1 5 >"$work/logits.txt"
(($(wc -l <"$work/logits.txt") > 100)) || fail "own_architecture: few logits"
prints qmatmul "$bin/feed_forward"
prints qmatmul "$bin/show_graph"
"$bin/show_graph" "$work/graph.html"
grep -q "</html>" "$work/graph.html" || fail "show_graph: no page"
row "digits in C++ and C, eight conversations, two models, an architecture, graphs"

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
else
  row "SKIPPED, no clang++ here: static and shared with clang"
fi

part() {  # NAME PATTERNS...: the installation without these, elsewhere
  cp -al "$prefix" "$work/$1_prefix"
  # shellcheck disable=SC2068  # patterns
  (cd "$work/$1_prefix${libdir#"$prefix"}" && rm ${@:2})
}
part graph_only libweft.a 'libweft.so*'
consumer graph_only tests/package/consumer feed_forward -- -DCOMPONENTS=graph \
  -DCMAKE_PREFIX_PATH="$work/graph_only_prefix"
prints qmatmul "$work/graph_only/bin/feed_forward"
! grep -qi "pcre2\|utf8proc" "$work/graph_only/CMakeCache.txt" ||
  fail "graph_only: looks for what it does not need"
refused no_engine "libweft.so is not installed" \
  -DCMAKE_PREFIX_PATH="$work/graph_only_prefix"
row "graph alone is installed"
part so_only './*.a'
consumer so_only tests/package/consumer all -- \
  -DCMAKE_PREFIX_PATH="$work/so_only_prefix"
says "libweft.so alone is installed" "$work/so_only/bin/generate" "$model" "$prompt"
LD_LIBRARY_PATH=$libdir prints qmatmul "$work/so_only/bin/feed_forward"
refused no_archive "libweft_graph.a is not installed" -DCOMPONENTS=static \
  -DCMAKE_PREFIX_PATH="$work/so_only_prefix"
sed -i 's/\(absl_VERSION STREQUAL\) "[0-9]*"/\1 "20990101"/' \
  "$work/so_only_prefix${libdir#"$prefix"}/cmake/weft/weft-config.cmake"
refused other_abseil "compiled with Abseil" \
  -DCMAKE_PREFIX_PATH="$work/so_only_prefix"
row "what is missing and another Abseil are refused with their names"

# ---- C, and every language that calls C ----

c99="-std=c99 -Wall -Wextra -Wpedantic -Werror"
shared=$(pkg-config --cflags --libs weft)
static=$(pkg-config --static --cflags --libs weft |
  sed 's/-lweft /-l:libweft.a /')
for headers in weft.h weft_graph.h "weft.h weft_graph.h" "weft_graph.h weft.h" \
    version.h; do
  # shellcheck disable=SC2086  # lists
  { printf '#include <weft/%s>\n' $headers; echo "extern int weft_declared;"; } |
    cc $c99 -I"$prefix/include" -fsyntax-only -x c - ||
    fail "$headers: no C99"
done
# shellcheck disable=SC2086
cc $c99 tests/examples/generate.c -o "$work/c_shared" $shared
says "C99, shared, pkg-config" "$work/c_shared" "$model" "$prompt"
consumer c_alone tests/package/c_consumer generate_c -- \
  -DCMAKE_DISABLE_FIND_PACKAGE_absl=ON
says "C, CMake without C++ and Abseil" "$work/c_alone/bin/generate_c" "$model" \
  "$prompt"
# shellcheck disable=SC2046,SC2086  # lists
cc $c99 tests/examples/generate.c -o "$work/c_alone_pc" \
  $(pkg-config --cflags --libs weft-c)
says "C99, pkg-config weft-c" "$work/c_alone_pc" "$model" "$prompt"
# shellcheck disable=SC2086
cc $c99 tests/examples/generate.c -o "$work/c_static" $static
says "C99, static, pkg-config" "$work/c_static" "$model" "$prompt"
# shellcheck disable=SC2086
cc $c99 tests/examples/digits.c -o "$work/digits_c" $shared
LD_LIBRARY_PATH=$libdir "$work/digits_c" "$work/digits.gguf" \
  <tests/examples/digits.txt | tr -d '\n' | grep -qx 0123456789 ||
  fail "digits.c with libweft.so: wrong"
says "Python, ctypes" python3 tests/examples/generate.py "$libdir/libweft.so" \
  "$model" "$prompt"

# ---- more than one weft ----

# shellcheck disable=SC2086
cc -std=gnu99 -Wall -Wextra -rdynamic tests/package/two_copies.c \
  -o "$work/two_copies" $static -ldl
"$work/two_copies" "$libdir/libweft.so" "$model" >/dev/null
row "a C program with the archive loads libweft.so"

one() {  # NAME INCLUDE ARGUMENTS...: tests/package/one_copy.cc as NAME
  g++ -std=c++20 -DNAME="$1" -I"$2" tests/package/one_copy.cc "${@:3}"
}
program() {  # OUTPUT ARGUMENTS...
  # shellcheck disable=SC2086
  g++ -std=c++20 tests/package/copies_main.cc -o "$work/$1" "$work/first.o" \
    "${@:2}" -ldl
}
one first "$prefix/include" -c -o "$work/first.o"
# shellcheck disable=SC2086
{
  one second "$prefix/include" -fPIC -shared -o "$work/plugin.so" $static
  program host_static -rdynamic $static
  program host_shared $shared
}
for host in host_static host_shared; do
  LD_LIBRARY_PATH=$libdir "$work/$host" "$model" "$work/plugin.so" ||
    fail "$host: a plugin with the archive"
  row "$host: a plugin with the archive keeps to its own copy"
done

# The next version, as far as names go: the archive and the headers with another
# inline namespace.
old=$(grep -o 'weft::v[0-9]*' "$prefix/include/weft/version.h" | cut -c 7-)
new=${old/v/w}
nm "$libdir/libweft.a" |
  awk -v old="4weft${#old}$old" -v new="4weft${#new}$new" '
    index($NF, old) && !seen[$NF]++ { to = $NF; gsub(old, new, to); print $NF, to }
  ' >"$work/new.names"
[[ -s $work/new.names ]] || fail "no names of weft::$old"
objcopy --redefine-syms="$work/new.names" "$libdir/libweft.a" \
  "$work/libweft_new.a"
mkdir "$work/new"
cp -r "$prefix/include/weft" "$work/new/weft"
grep -rl "inline $old" "$work/new" | xargs sed -i "s/inline $old/inline $new/"
one second "$work/new" -c -o "$work/second.o"
# shellcheck disable=SC2086
program two_versions "$work/second.o" "$work/libweft_new.a" $static
"$work/two_versions" "$model" || fail "two versions in one program"
nm "$work/two_versions" >"$work/two_versions.names"
! grep -q " T weft_" "$work/two_versions.names" ||
  fail "two_versions: a C++ program has the C interface in it"
row "two versions in one program"

# ---- weft as a subproject ----
# No tests, no warnings as errors, no flags of ours in the host's own compilation;
# all names hidden.

highway=$(find "$PWD/build/third_party" -maxdepth 1 -name 'highway-*' -type d)
subproject=(-DCMAKE_BUILD_TYPE=None -DCMAKE_EXPORT_COMPILE_COMMANDS=ON
  -DWEFT_HIGHWAY_DIR="${highway%%$'\n'*}")
check_commands() {  # NAME
  local name=$1 all=$work/$1/compile_commands.json
  grep '"command"' "$all" >"$work/$name.commands"
  ! grep -q -- -Werror "$work/$name.commands" ||
    fail "$name: warnings as errors"
  ! grep -q '_test\.cc\|_main\.cc' "$work/$name.commands" ||
    fail "$name: tests or tools are built"
  grep "examples/[a-z_]*\.c" "$work/$name.commands" >"$work/$name.host" ||
    fail "$name: no code of the host"
  ! grep -q -- '-ffp-contract\|-Wall\|-fvisib' "$work/$name.host" ||
    fail "$name: our flags in the host's code"
  (($(grep -c -- -fvisibility=hidden "$work/$name.commands") ==
    $(wc -l <"$work/$name.commands") - $(wc -l <"$work/$name.host"))) ||
    fail "$name: not all of weft is hidden"
}
# The tree as a release's tarball brings it. DSL and passes, as others take a part.
tar -cf "$work/weft.tar" --transform 's,^,weft/,' CMakeLists.txt LICENSE \
  graph ops backends models tools third_party
consumer fetched tests/package/consumer feed_forward -- \
  -DFETCH="$work/weft.tar" "${subproject[@]}"
prints qmatmul "$work/fetched/bin/feed_forward"
check_commands fetched
row "FetchContent"
# Two instruction sets, since each costs a minute. Other ones may say other texts.
configure subproject tests/examples -DWEFT_SOURCE="$PWD" "${subproject[@]}" \
  -DCMAKE_CXX_FLAGS=-O1 -DWEFT_DISABLED_TARGETS="(HWY_SSSE3|HWY_SSE4|HWY_AVX3|\
HWY_AVX3_DL|HWY_AVX3_ZEN4|HWY_AVX3_SPR|HWY_NEON|HWY_SVE2|HWY_SVE_256)" ||
  fail "subproject: does not configure"
check_commands subproject
if [[ -n $full ]]; then
  make subproject "generate generate_c" || {
    tail -30 "$work/subproject.log" >&2
    fail "subproject: does not build"
  }
  want=
  says "add_subdirectory, the engine" "$work/subproject/bin/generate" "$model" \
    "$prompt"
  says "add_subdirectory, C" "$work/subproject/bin/generate_c" "$model" "$prompt"
  nm "$work/subproject/bin/generate" >"$work/subproject.names"
  grep -q N8weft_hwy "$work/subproject.names" || fail "subproject: no Highway"
  ! grep -q '[0-9A-Z]3hwy[0-9]' "$work/subproject.names" ||
    fail "subproject: Highway has the name that the host's has"
else
  row "add_subdirectory: configured; NOT COMPILED without --full"
fi
echo "package: all rows pass"

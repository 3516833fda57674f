#!/usr/bin/env bash
# Instructions that Arm CPUs execute for a block of each format: the difference
# between two runs of block_product_main under qemu-user, which logs each
# instruction as a block of its own (options of qemu 7.2). After `tools/dev
# arm64`:
#
#   tests/count_instructions.sh [FORMAT...]
#
# prints a table for backends/README.md. Quantising the activations, a step's
# fixed costs and the loops around blocks are all counted; the weight has 32
# rows of 2048 values. Only what stands in backends/cpu is logged: all else, most
# of it making random blocks, would take a hundred times as long.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

program=build/arm64/tests/block_product_main
formats=("$@")
if ((!$#)); then
  formats=(q4_0 q4_1 q5_0 q5_1 q8_0 iq4_nl mxfp4 q2_k q3_k q4_k q5_k q6_k
           q8_k iq4_xs)
fi

# Where qemu-user puts a program that may lie anywhere.
readonly base=0x5500000000
symbols=$(aarch64-linux-gnu-nm "$program" | grep -E ' [tT] \S*4weft2v03cpu' |
  sort)
first=$((0x$(head -n 1 <<<"$symbols" | cut -d' ' -f1) + base))
last=$((0x$(tail -n 1 <<<"$symbols" | cut -d' ' -f1) + base))
range=$(printf '0x%x..0x%x' "$first" "$last")

run() {  # CPU ARGUMENTS: instructions executed
  local cpu=$1
  shift
  qemu-aarch64 -cpu "$cpu" -singlestep -d exec,nochain -dfilter "$range" \
    -D /dev/stderr "$program" "$@" 2>&1 >/dev/null | grep -c '^Trace'
}

per_block() {  # CPU FORMAT NUMERICS TARGET TOKENS
  local blocks one two
  blocks=$(qemu-aarch64 -cpu "$1" "$program" "${@:2}" 1)
  one=$(run "$@" 1)
  two=$(run "$@" 2)
  echo $(((two - one + blocks / 2) / blocks))
}

echo "| format | fast, NEON | with dotprod | 6 tokens, NEON | with dotprod |" \
     "exact |"
echo "|---|---|---|---|---|---|"
for format in "${formats[@]}"; do
  printf '| %s | %s | %s | %s | %s | %s |\n' "$format" \
    "$(per_block cortex-a53 "$format" fast NEON 1)" \
    "$(per_block cortex-a76 "$format" fast NEON_DOTPROD 1)" \
    "$(per_block cortex-a53 "$format" fast NEON 6)" \
    "$(per_block cortex-a76 "$format" fast NEON_DOTPROD 6)" \
    "$(per_block cortex-a53 "$format" exact NEON 1)"
done

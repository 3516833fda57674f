#!/usr/bin/env python3
"""Cycles that Arm cores need for a block of each format, as LLVM's models of them
say: a table for backends/README.md. After `tools/dev arm64`:

    tests/arm_cycles.py [FORMAT...]

An emulator (qemu-user 7.2) lists the instructions that block_product_main
executes in its second step, which llvm-mca-19 then schedules in that order on a
Neoverse N1 and a V2, each with the instructions of the best target that weft has
for it. The models know no misses of caches and no mispredicted branches. As in
count_instructions.sh, quantising the activations and the loops around blocks are
counted in; the weight has 32 packed rows of 2048 values.
"""
import collections
import os
import re
import subprocess
import sys

PROGRAM = "build/arm64/tests/block_product_main"
FORMATS = ("q4_0 q4_1 q5_0 q5_1 q8_0 iq4_nl mxfp4 q2_k q3_k q4_k q5_k q6_k q8_k "
           "iq4_xs").split()
BASE = 0x5500000000  # where qemu-user puts a program that may lie anywhere

Core = collections.namedtuple("Core", "name target qemu")
CORES = (Core("neoverse-n1", "NEON_DOTPROD", "cortex-a76"),
         Core("neoverse-v2", "NEON_BF16", "max,sve-max-vq=1"),
         Core("neoverse-v2", "SVE2_128", "max,sve-max-vq=1"))


def output(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True,
                          **more).stdout


def disassemble():
    """{address: instruction} of the kernels; their first and last address.

    Jumps lose where they go to: llvm-mca reads a straight line."""
    text = {}
    inside = False
    listing = output("llvm-objdump-19", "-d", "--no-show-raw-insn",
                     "--mattr=+all", PROGRAM)
    for line in listing.splitlines():
        if label := re.match(r"[0-9a-f]+ <(.*)>:$", line):
            inside = "4weft2v03cpu" in label[1]
        elif inside and (m := re.match(r"\s*([0-9a-f]+):\s+(\S.*)$", line)):
            instruction = re.sub(r"\s*(//|;).*$", "", m[2])
            to = "#0" if instruction.startswith("adrp") else "#8"
            text[int(m[1], 16)] = re.sub(r"0x[0-9a-f]+ <.*>", to, instruction)
    return text, min(text), max(text)


def execute(core, arguments, first, last):
    """The addresses of what runs in that range, in order."""
    command = ["qemu-aarch64", "-cpu", core.qemu, "-singlestep", "-d",
               "exec,nochain", "-dfilter", f"{BASE + first:#x}..{BASE + last:#x}",
               "-D", "/dev/stderr", PROGRAM, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [int(m[1], 16) - BASE for m in
            re.finditer(r"^Trace.*\[[0-9a-f]+/([0-9a-f]+)/", done.stderr, re.M)]


def second_step(core, form, tokens, text, first, last):
    """(instructions of one step, blocks)"""
    arguments = [form, "fast", core.target, str(tokens)]
    one = execute(core, arguments + ["1"], first, last)
    two = execute(core, arguments + ["2"], first, last)
    blocks = int(output("qemu-aarch64", "-cpu", core.qemu, PROGRAM,
                        *arguments, "1"))
    step = two[len(one) - len(two):]
    return [text[at] for at in step if at in text], blocks


def cycles(core, instructions):
    report = output("llvm-mca-19", "-march=aarch64", f"-mcpu={core.name}",
                    "-mattr=+all", "-iterations=1", "-instruction-info=false",
                    "-resource-pressure=false",
                    input="\n".join(instructions) + "\n")
    return int(re.search(r"Total Cycles:\s+(\d+)", report)[1])


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    text, first, last = disassemble()
    print("| format |" + "".join(
        f" {core.name}, {core.target}, {tokens} |"
        for core in CORES for tokens in (1, 6)))
    print("|---|" + "---|" * 2 * len(CORES))
    for form in sys.argv[1:] or FORMATS:
        cells = []
        for core in CORES:
            for tokens in (1, 6):
                step, blocks = second_step(core, form + "_r16", tokens, text,
                                           first, last)
                cells.append(f"{cycles(core, step) / blocks:.0f} "
                             f"({len(step) / blocks:.0f})")
        print(f"| {form} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()

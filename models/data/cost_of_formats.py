#!/usr/bin/env python3
"""What each block format costs on a trained model: a table and a plot.

    cost_of_formats.py --model=stories-f32.gguf --bin=build/release/bin \\
        --out=models/data/formats

Quantises the model to every format, takes the perplexity of stories that it was
not trained on (of another seed), each story for itself, and writes the table to
OUT.md and the plot to OUT.svg.
"""
import argparse
import math
import os
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(__file__), "stories"))
from make_stories import tell  # noqa: E402

FORMATS = ("F32", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M", "Q2_K")
HELD_OUT_SEED = 1000


def evaluate(flags, model, story):
    """(sum of -log p in nats, tokens)"""
    out = subprocess.run(
        [os.path.join(flags.bin, "weft-eval"), "perplexity",
         "--model=" + model, "--text=" + story, "--context=512"],
        check=True, capture_output=True, text=True).stdout
    values = dict(line.split() for line in out.splitlines())
    tokens = int(values["tokens"])
    return float(values["mean_nll"]) * tokens, tokens


def perplexity(flags, model, stories):
    results = [evaluate(flags, model, story) for story in stories]
    return math.exp(sum(r[0] for r in results) / sum(r[1] for r in results))


def plot(rows):
    """Bars of how much the perplexity grows, as SVG."""
    step, top, height = 90, 40, 220
    most = max(growth for _, _, _, growth in rows) or 1
    width = step * len(rows) + 40
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
             f'height="{height + top + 60}" font-family="sans-serif" '
             'font-size="13" text-anchor="middle">',
             '<rect width="100%" height="100%" fill="white"/>',
             f'<text x="{width / 2}" y="22" font-size="15">perplexity above '
             'F32, and size of the file</text>']
    for i, (name, size, _, growth) in enumerate(rows):
        x = 20 + step * i
        bar = max(0.0, growth) / most * height
        y = top + height - bar
        parts.append(
            f'<rect x="{x + 15}" y="{y:.1f}" width="{step - 30}" '
            f'height="{max(bar, 1):.1f}" fill="#4269d0"/>'
            f'<text x="{x + step / 2}" y="{y - 6:.1f}">{growth:+.2%}</text>'
            f'<text x="{x + step / 2}" y="{top + height + 20}">{name}</text>'
            f'<text x="{x + step / 2}" y="{top + height + 38}" fill="#666">'
            f'{size / 2**20:.2f} MiB</text>')
    return "\n".join(parts + ["</svg>\n"])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="the model in F32")
    parser.add_argument("--bin", default="build/release/bin",
                        help="where weft's programs lie")
    parser.add_argument("--out", required=True)
    parser.add_argument("--stories", type=int, default=40)
    flags = parser.parse_args()
    stories = [tell(f"{HELD_OUT_SEED}.{i}") for i in range(flags.stories)]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in FORMATS:
            path = os.path.join(folder, name + ".gguf")
            subprocess.run(
                [os.path.join(flags.bin, "weft-quantize"), "--in=" + flags.model,
                 "--out=" + path, "--type=" + name],
                check=True, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL)
            value = perplexity(flags, path, stories)
            first = rows[0][2] if rows else value
            rows.append((name, os.path.getsize(path), value, value / first - 1))
            print(name, f"{value:.4f}", file=sys.stderr)
    with open(flags.out + ".md", "w", encoding="utf-8") as out:
        out.write("| format | file, MiB | perplexity | above F32 |\n"
                  "|---|---:|---:|---:|\n")
        for name, size, value, growth in rows:
            out.write(f"| {name} | {size / 2**20:.2f} | {value:.4f} | "
                      f"{growth:+.2%} |\n")
    with open(flags.out + ".svg", "w", encoding="utf-8") as out:
        out.write(plot(rows))


if __name__ == "__main__":
    main()

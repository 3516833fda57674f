#!/usr/bin/env python3
"""A table and a plot of kernel benchmarks.

    tools/dev bench --benchmark_filter='^(limits|qmatmul|memory)/.*/AVX2/' \\
        --benchmark_out=bench.json
    tests/bench_report.py bench.json --svg=backends/products.svg

reads the JSON of Google Benchmark and prints Markdown: of each instruction set
and shape the products of every format by number of tokens, then attention and
the patterns of memory, whatever the file has of them. A share is that of the
nearer limit, of reading or of multiply-adds of the kind that the format has, as
`limits/` measured them in the same run with as many threads; of several repetitions the best counts. The
plot shows the shares of the largest table, of its first shape.
"""
import argparse
import collections
import json
import os
import shlex

COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7",
           "#a463f2", "#97bbf5", "#9c6b4e", "#9498a0")


# Of formats whose activations are not rounded to 8 bits.
PEAKS = {"f32": "f32", "f16": "f32", "bf16": "bf16"}


def number(x):
    return f"{x:.0f}" if x >= 10 else f"{x:.2g}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(r) + " |" for r in rows]) + "\n"


class Results:
    """Counters by name, the best of several repetitions; no errors."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        self.context = data["context"]
        self.runs = {}
        for run in data["benchmarks"]:
            if run.get("error_occurred") or run["run_type"] != "iteration":
                continue
            name = run["name"].replace("/real_time", "")
            key = tuple(p for p in name.split("/") if "repeats:" not in p)
            best = self.runs.setdefault(key, run)
            if run["real_time"] < best["real_time"]:
                self.runs[key] = run

    def of(self, suite):
        """{the rest of the name: counters}"""
        return {k[1:]: v for k, v in self.runs.items() if k[0] == suite}

    def share(self, form, run, target, threads):
        limits = self.runs.get(("limits", target, threads))
        if limits is None:
            return None
        peak = limits.get(PEAKS.get(form, "int8") + " GOP/s",
                          limits["f32 GOP/s"])
        return max(run["GB/s"] / limits["GB/s"], run["GOP/s"] / peak)


def cell(results, form, run, tokens, target, threads):
    rate = f"{number(run['GB/s'])} GB/s" if tokens == 1 else \
        f"{number(run['GOP/s'])}"
    share = results.share(form, run, target, threads)
    return rate if share is None else f"{rate}, {share:.0%}"


def products(results):
    """{(target, threads): {(format, shape): {tokens: run}}}"""
    groups = collections.OrderedDict()
    for (form, shape, tokens, target, threads), run in \
            results.of("qmatmul").items():
        group = groups.setdefault((target, threads), {})
        group.setdefault((form, shape), {})[int(tokens)] = run
    return groups


def unfused_cell(results, key, run):
    """How much slower than `run` the same is with a buffer, which is how large"""
    other = results.of("qmatmul_unfused").get(key)
    if other is None:
        return ""
    return (f"{number(run['GOP/s'] / other['GOP/s'])} x, "
            f"{other['MB']:.0f} MB")


def product_tables(results):
    for (target, threads), group in products(results).items():
        batches = sorted({t for runs in group.values() for t in runs})
        ends = (batches[0], batches[-1])
        rows = []
        for (form, shape), runs in group.items():
            row = [form, shape]
            row += ["" if t not in runs else
                    cell(results, form, runs[t], t, target, threads)
                    for t in batches]
            row += ["" if t not in runs else
                    unfused_cell(results, (form, shape, str(t), target, threads),
                                 runs[t]) for t in ends]
            rows.append(row)
        head = ["format", "shape"]
        head += [f"{t} token" + "s" * (t > 1) for t in batches]
        head += [f"unfused, {t}" for t in ends]
        if not any(row[-1] or row[-2] for row in rows):
            head, rows = head[:-2], [row[:-2] for row in rows]
        print(f"{target}, {threads.replace('threads:', 'threads ')}; GOP/s unless "
              "it says GB/s:\n")
        print(table(head, rows))


def attention_table(results):
    chains = results.of("attention_chain")
    rows = [[*key[:3], *key[3:], f"{run['us/layer']:.1f}",
             f"{run['MB']:.1f}",
             f"{chains[key]['us/layer']:.0f}" if key in chains else "",
             f"{chains[key]['MB']:.0f}" if key in chains else ""]
            for key, run in results.of("attention").items()]
    if rows:
        print(table(["KV", "step", "positions", "target", "threads", "us",
                     "MB", "unfused, us", "MB"], rows))


def memory_table(results):
    groups = collections.OrderedDict()
    for (form, heat, pages, target, threads), run in \
            results.of("memory").items():
        row = groups.setdefault((form, target, threads), {})
        row[f"{heat}, {pages.replace('_', ' ')}"] = number(run["GB/s"])
    columns = ["warm, large pages", "warm, small pages", "cold, large pages",
               "cold, small pages"]
    rows = [[*key, *(row.get(c, "") for c in columns)]
            for key, row in groups.items()]
    if rows:
        print("One token, 2048 x 2048, GB/s:\n")
        print(table(["format", "target", "threads", *columns], rows))


def plot(results, path):
    groups = products(results)
    target, threads = max(groups, key=lambda g: (len(groups[g]), g[1]))
    (_, shape), *_ = groups[target, threads]
    formats = {form: runs for (form, of), runs in
               groups[target, threads].items() if of == shape}
    batches = sorted({t for runs in formats.values() for t in runs})
    left, top, width, height = 50, 50, 460, 280
    x = {t: left + width * i / max(1, len(batches) - 1)
         for i, t in enumerate(batches)}
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width + 190}" '
             f'height="{height + 110}" font-family="sans-serif" font-size="12">',
             '<rect width="100%" height="100%" fill="white"/>',
             f'<text x="{left}" y="24" font-size="15">products of {shape}, '
             f'{target}, {threads.replace("threads:", "threads ")}: share of '
             'the nearer limit</text>']
    for share in range(0, 101, 20):
        y = top + height * (1 - share / 100)
        parts.append(f'<path d="M{left} {y}h{width}" stroke="#ddd"/>'
                     f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">'
                     f'{share} %</text>')
    for tokens, at in x.items():
        parts.append(f'<text x="{at}" y="{top + height + 18}" '
                     f'text-anchor="middle">{tokens}</text>')
    parts.append(f'<text x="{left + width / 2}" y="{top + height + 38}" '
                 'text-anchor="middle">tokens</text>'
                 f'<text x="{left}" y="{top + height + 56}" fill="#666">'
                 f'{results.context.get("cpu", "")}, '
                 f'{results.context.get("compiler", "")}</text>')
    for i, (form, runs) in enumerate(formats.items()):
        colour = COLOURS[i % len(COLOURS)]
        shares = {t: results.share(form, run, target, threads)
                  for t, run in runs.items()}
        line = " ".join(
            f"{x[t]:.1f},{top + height * (1 - min(s, 1.0)):.1f}"
            for t, s in sorted(shares.items()) if s is not None)
        dash = ' stroke-dasharray="5 3"' if i >= len(COLOURS) else ""
        parts.append(f'<polyline points="{line}" fill="none" '
                     f'stroke="{colour}" stroke-width="2"{dash}/>'
                     f'<path d="M{left + width + 12} {top + 4 + 15 * i}h22" '
                     f'stroke="{colour}" stroke-width="2"{dash}/>'
                     f'<text x="{left + width + 40}" y="{top + 8 + 15 * i}">'
                     f'{form}</text>')
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(parts + ["</svg>\n"]))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json")
    parser.add_argument("--svg", help="a file for the plot")
    flags = parser.parse_args()
    results = Results(flags.json)
    context = results.context
    command = context.get("command", "").split()
    if command:
        command[0] = os.path.basename(command[0])
        print("    " + shlex.join(
            a for a in command if not a.startswith("--benchmark_out")) + "\n")
    print(f"on {context.get('num_cpus')} cores of {context.get('cpu')}, "
          f"{context.get('system')}, {context.get('compiler')}, seed "
          f"{context.get('seed')}.\n")
    for key, run in results.of("limits").items():
        print(f"* {key[0]}, {key[1].replace('threads:', 'threads ')}: reads "
              f"{run['GB/s']:.1f} GB/s, " + ", ".join(
                  f"{name.removesuffix(' GOP/s')} {value:.0f} GOP/s"
                  for name, value in run.items() if name.endswith(" GOP/s")))
    print()
    product_tables(results)
    attention_table(results)
    memory_table(results)
    if flags.svg:
        plot(results, flags.svg)


if __name__ == "__main__":
    main()

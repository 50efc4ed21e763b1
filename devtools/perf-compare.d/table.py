# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Results as a table for the guides, in reStructuredText: a row for each kind of
frame, a column for each direction and ring format, ratios with mergeable buffers
and without in one place.
"""

import math
import statistics

WAYS = ("enqueue", "dequeue", "io", "ovs", "testpmd", "dpdk-vhost", "tcp")
COLUMNS = [(way, form) for way in WAYS for form in ("split", "packed")]
WORDS = {
    "chained": "chained descriptors", "indirect": "indirect descriptors",
    "multiseg": "several segments", "negotiated": "offloads negotiated",
    "csum": "checksum offload", "tso": "segmentation offload", "legacy": "old offload flags",
    "eventidx": "event index", "inorder": "in order", "nostats": "no statistics",
    "notify": "the guest wants notifications", "idle": "nothing there",
    "call": "rte_vhost_vring_call()", "nonblock": "nonblocking",
}
# What has a number behind it.
NUMBERED = {"burst": "bursts of {}", "dev": "{} devices", "ring": "ring of {}",
            "regions": "{} memory regions"}

HEAD = """\
..  SPDX-License-Identifier: BSD-3-Clause
    Copyright(c) 2026 The vhost-numa authors

.. Written by devtools/perf-compare --rst.

"""


def split_name(cell):
    """(direction, format), mergeable, and what is measured in words."""
    plain = cell.removeprefix("async-")
    way = next(way for way in WAYS if plain.startswith(way + "-"))
    form, buffers, *rest = plain.removeprefix(way + "-").split("-")
    words = [f"{rest[0]} bytes", *map(in_words, rest[1:])] if rest else ["a stream, for each 1000 bytes"]
    if cell.startswith("async-"):
        words.append("asynchronous")
    return (way, form), buffers == "mrg", ", ".join(words)


def in_words(part):
    for start, words in NUMBERED.items():
        if part.startswith(start) and part[len(start):].isdigit():
            return words.format(part[len(start):])
    return WORDS.get(part, part)


def group(results):
    """Ratios by row, column and mergeable."""
    rows = {}
    for result in results:
        column, mergeable, row = split_name(result["cell"])
        rows.setdefault(row, {}).setdefault(column, {})[mergeable] = result["ratio"]
    return rows


def place(ratios):
    """Mergeable first; a dash for what is measured in the other way only."""
    if not ratios:
        return ""
    # an ordinary dash would begin a list
    return " / ".join(f"{ratios[way]:.2f}" if way in ratios else "–" for way in (True, False))


def geometric_mean(ratios):
    return math.exp(statistics.fmean(map(math.log, ratios)))


def write_table(head, rows):
    widths = " ".join(["40"] + ["15"] * (len(head) - 1))
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for row in [head, *rows]:
        lines += [f"   {'*' if number == 0 else ' '} - {text}".rstrip()
                  for number, text in enumerate(row)]
    return lines


def means(results, columns):
    """The row below the others."""
    by_column = [[r["ratio"] for r in results if split_name(r["cell"])[0] == column]
                 for column in columns]
    return ["**geometric mean**", *(f"**{geometric_mean(ratios):.2f}**" for ratios in by_column)]


def render_lines(results):
    """Lines that travel, which are no matter of where and when; buffers merged or not are the same."""
    rows = {}
    for result in results:
        column, mergeable, row = split_name(result["cell"])
        if mergeable:
            rows.setdefault(row, {})[column] = "{ours:.2f} / {theirs:.2f} / {least:.2f}".format(**result)
    columns = [c for c in COLUMNS if any(c in row for row in rows.values())]
    body = [[name, *(row.get(column, "") for column in columns)] for name, row in rows.items()]
    text = ["Cache lines per packet that the library gets from the driver's core, counted by "
            "a model: ours / theirs / the least that is possible.", ""]
    return HEAD + "\n".join(text + write_table(["frame", *map(" ".join, columns)], body)) + "\n"


def render(results, unit, about):
    """The whole file; "about" says where and when, in one sentence."""
    if "least" in results[0]:
        return render_lines(results)
    rows = group(results)
    columns = [c for c in COLUMNS if any(c in row for row in rows.values())]
    body = [[name, *(place(row.get(column, {})) for column in columns)]
            for name, row in rows.items()]
    body.append(means(results, columns))
    worst = max(results, key=lambda r: r["ratio"])
    text = [f"{about} {unit.capitalize()} per packet, ours divided by theirs, less is better; "
            "with mergeable buffers / without.",
            f"Geometric mean of all {len(results)} cells: "
            f"**{geometric_mean([r['ratio'] for r in results]):.2f}**; "
            f"worst cell: ``{worst['cell']}``, {worst['ratio']:.2f}."]
    if "self_spread" in worst:
        spread = statistics.median(r["self_spread"] for r in results)
        text.append("The packaged library differs from itself by a factor of "
                    f"{spread:.2f} (median of the cells; {worst['self_spread']:.2f} in the worst cell).")
    return HEAD + "\n".join(text + [""] + write_table(["frame", *map(" ".join, columns)], body)) + "\n"

# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""What was seen, as rows with a verdict, printed as a table at the end."""

import collections

Row = collections.namedtuple('Row', 'port guest what before after passed')
HEADINGS = ('PORT', 'GUEST ON', 'WHAT', 'BEFORE', 'AFTER', 'VERDICT')


def on_node(number):
    return 'unknown' if number is None else f'node {number}'


def memory(sizes):
    """{1: 2048} as 'node 1 (2 MiB)'."""
    return ', '.join(f'node {node} ({size // 1024} MiB)'
                     for node, size in sorted(sizes.items())) or 'none'


def table(rows):
    lines = [HEADINGS]
    for row in rows:
        verdict = 'PASS' if row.passed else 'FAIL'
        lines.append((row.port, row.guest, row.what, row.before or '-',
                      row.after or '-', verdict))
    widths = [max(map(len, column)) for column in zip(*lines)]
    return '\n'.join('  '.join(map(str.ljust, line, widths)).rstrip()
                     for line in lines)


def summary(rows):
    failed = sum(not row.passed for row in rows)
    return f'{len(rows) - failed} passed, {failed} failed'

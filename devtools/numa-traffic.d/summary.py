# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""What was measured, as tables, as CSV, and against what is expected."""

import bisect
import collections
import subprocess

from contents import MEANING

COLUMNS = tuple(MEANING)
LABELS = 3              # columns before these
OURS_PLACED = ('structures', 'handles', 'rings', 'guest', 'mbufs')
LINES_PLACED = 0.02
# All of it is on the guest's node, but for what the scenario is named after.
PLACED = ('structures', 'rings', 'guest', 'mbufs')
GUEST_NODE = 1


def accesses(count):
    return count['loads'] + count['stores']


def remote(result, kind, value):
    """Per packet, on nodes other than the polling core's."""
    return sum(value(count) for count in result['counts']
               if count['kind'] == kind and
               count['node'] != result['core']) / result['packets']


def lines(count):
    return count['lines']


def tables(measured):
    return '\n\n'.join([
        'Remote accesses per packet\n' + table(measured, accesses, '.1f'),
        'Remote cache lines fetched per packet\n' + table(measured, lines, '.3f'),
        '\n'.join(f'{kind:10}  {MEANING[kind]}' for kind in COLUMNS)])


def table(measured, value, form):
    rows = [('switch', 'rings', 'wrong node', *COLUMNS, 'all')]
    for result in measured:
        figures = [remote(result, kind, value) for kind in COLUMNS]
        name = {'placed': '(none)'}.get(result['scenario'], result['scenario'])
        rows.append((result['switch'], result['ring'], name,
                     *(format(figure, form) if figure else '0'
                       for figure in [*figures, sum(figures)])))
    widths = [max(map(len, column)) for column in zip(*rows)]
    return '\n'.join('  '.join([*map(str.ljust, row[:LABELS], widths),
                                *map(str.rjust, row[LABELS:], widths[LABELS:])]) for row in rows)


def csv(measured):
    text = ['switch,ring,scenario,packets,core_node,kind,node,loads,stores,lines']
    for result in measured:
        for count in result['counts']:
            text.append(','.join(map(str, (
                result['switch'], result['ring'], result['scenario'], result['packets'],
                result['core'], count['kind'], count['node'], count['loads'], count['stores'],
                count['lines']))))
    return '\n'.join(text) + '\n'


def problems(measured):
    """What is not as it should be, one line each."""
    found = []
    for result in measured:
        name = f'{result["switch"]}, {result["ring"]}, {result["scenario"]}'
        found += [f'{name}: {text}' for text in misplaced(result)]
        if result['unknown']:
            found.append(f'{name}: {result["unknown"]} accesses to unknown places')
        if result['switch'] != 'packaged' and result['scenario'] == 'placed':
            found += [f'{name}: remote accesses to {kind}'
                      for kind in OURS_PLACED if remote(result, kind, accesses)]
            fetched = sum(remote(result, kind, lines) for kind in COLUMNS)
            if fetched > LINES_PLACED:
                found.append(f'{name}: {fetched:.3f} remote lines per packet, '
                             f'at most {LINES_PLACED} are expected')
    return found


def misplaced(result):
    """Was the scenario what it is called?"""
    for kind in PLACED:
        nodes = {count['node'] for count in result['counts'] if count['kind'] == kind}
        wrong = kind == result['scenario']
        if not nodes or any((node != GUEST_NODE) != wrong for node in nodes):
            yield f'{kind} were on nodes {sorted(nodes)}'


def sites(measured, most):
    """The functions with the most remote accesses, per packet."""
    text, symbols = [], {}
    for result in measured:
        sums = collections.Counter()
        for site in result['sites']:
            function = function_of(site['file'], site['offset'], symbols)
            sums[site['kind'], site['file'].rpartition('/')[2], function] += accesses(site)
        text.append(f'\n{result["switch"]}, {result["ring"]}, {result["scenario"]}: '
                    'remote accesses per packet')
        for (kind, file, function), total in sums.most_common(most):
            text.append(f'{total / result["packets"]:9.3f}  {kind:10}  {file} {function}')
    return '\n'.join(text)


def function_of(file, offset, cache):
    if file not in cache:
        cache[file] = functions_of(file) if file else ([], [])
    starts, names = cache[file]
    index = bisect.bisect_right(starts, offset) - 1
    return names[index] if index >= 0 else '?'


def functions_of(file):
    """Start addresses and names; of a stripped file only what it exports."""
    found = {}
    for option in ('-D', '-a'):
        answer = subprocess.run(['nm', option, '--defined-only', file],
                                capture_output=True, text=True)
        for line in answer.stdout.splitlines():
            words = line.split()
            if len(words) == 3 and words[1] in 'tTwWi':
                found[int(words[0], 16)] = words[2].partition('@')[0]
    return sorted(found), [found[start] for start in sorted(found)]

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Print the linker's version script for one ABI: version_map.py EXPORTS COLUMN NODE.

COLUMN is the heading of a column of the table of exports, NODE what the node of the
stable names is called.
"""

import sys

NODES = ('stable', 'experimental', 'internal')


def read_column(path, column):
    """Names of each kind, as that column has them."""
    names = {kind: [] for kind in NODES}
    place = None
    with open(path, encoding='ascii') as table:
        for line in table:
            words = line.split()
            if words[:2] == ['#', 'name']:
                place = words.index(column) - 1
            elif words and not line.startswith('#'):
                kind = words[place]
                if kind != '-':
                    names[kind].append(words[0])
    return names


def main():
    path, column, stable_node = sys.argv[1:]
    names = read_column(path, column)
    for kind in NODES:
        print(stable_node if kind == 'stable' else kind.upper(), '{\n\tglobal:\n')
        print(''.join(f'\t{name};\n' for name in names[kind]), end='')
        print('\n\tlocal: *;\n};\n' if kind == 'stable' else '};\n')


if __name__ == '__main__':
    main()

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""See that whoever types something wrong is told so, in a line, and at once.

Each call below has to end within seconds, with an exit status that is no success, and after
few lines of which one has the word that is wrong; none of them is a Python traceback or a
complaint of the shell.  Programs that are not installed are no excuse: arguments come first.

Usage: check-arguments.py | --self-test
"""

import os
import pathlib
import subprocess
import sys
import tempfile

from complaints import tell, tell_self_test

TREE = pathlib.Path(__file__).resolve().parent.parent
NOWHERE = '/nonexistent'
SECONDS = 60
# argparse's usage may be long; an error behind a page of something else is not read.
MOST_LINES = 25

# Calls, and the word that has to be in the answer.
WRONG = (
    ('.ci/run --nosuch', 'arguments'),
    ('app/test/fuzz/run', 'usage'),
    ('app/test/fuzz/run abc', 'usage'),
    (f'app/test/fuzz/run --merge {NOWHERE} ring', 'usage'),
    ('app/test/interop/run nosuch', 'nosuch'),
    ('app/test/run-numa-test', 'usage'),
    (f'app/test/run-numa-test {NOWHERE}', NOWHERE),
    ('app/test/switch/run nosuch', 'nosuch'),
    (f'app/test/switch/run --build {NOWHERE}', NOWHERE),
    ('buildtools/check-abi.py --nosuch', '--nosuch'),
    ('devtools/article --nosuch', 'nosuch'),
    ('devtools/article --lib', '--lib'),
    (f'devtools/check-install {NOWHERE}', NOWHERE),
    ('devtools/check-packages nosuch', 'nosuch'),
    (f'devtools/check-packages bookworm --no-build --output {NOWHERE}', NOWHERE),
    ('devtools/check-plugins', 'usage'),
    (f'devtools/check-plugins {NOWHERE}', NOWHERE),
    ('devtools/check-source nosuch', 'nosuch'),
    (f'devtools/compare-answers --build {NOWHERE}', NOWHERE),
    (f'devtools/compare-log --build {NOWHERE}', NOWHERE),
    (f'devtools/control-compare --build {NOWHERE}', NOWHERE),
    ('devtools/control-compare --scenario nosuch', 'nosuch'),
    ('devtools/coverage --nosuch', 'nosuch'),
    (f'devtools/crypto-compare --build {NOWHERE}', NOWHERE),
    ('devtools/distro nosuch true', 'nosuch'),
    ('devtools/distro --timeout', '--timeout'),
    (f'devtools/fuzz-differ --build {NOWHERE}', NOWHERE),
    ('devtools/mutate --nosuch', 'nosuch'),
    (f'devtools/numa-follow --lib {NOWHERE}', NOWHERE),
    ('devtools/numa-lab --mem-per-node 3X true', '3X'),
    ('devtools/numa-lab --artifacts /dev/null true', '/dev/null'),
    ('devtools/numa-lab --hugepages 1,2,3 true', '--hugepages'),
    (f'devtools/numa-traffic --lib {NOWHERE}', NOWHERE),
    (f'devtools/perf-compare --ours {NOWHERE}', NOWHERE),
    ('devtools/numa-follow --nosuch', 'nosuch'),
    ('devtools/setup-debian --nosuch', 'nosuch'),
    ('devtools/test --only nosuch', 'nosuch'),
    (f'devtools/vhost_library.py {NOWHERE}', NOWHERE),
    ('usertools/dpdk-vhost-numa.py --watch -1', '-1'),
    ('usertools/dpdk-vhost-numa.py --openmetrics :99999', ':99999'),
    (f'usertools/dpdk-vhost-numa.py --read {NOWHERE}', NOWHERE),
    (f'usertools/dpdk-vhost-numa.py --svg {NOWHERE}/x.svg', NOWHERE),
)
SIGNS_OF_A_CRASH = ('Traceback', 'unbound variable', 'command not found', ': line ')


def complaints(calls, tree=TREE):
    for call, word in calls:
        try:
            done = subprocess.run(call.split(), cwd=tree, stdin=subprocess.DEVNULL, text=True,
                                  capture_output=True, timeout=SECONDS, check=False,
                                  env={**os.environ, 'COLUMNS': '120'})
        except subprocess.TimeoutExpired:
            yield f'{call}: not done after {SECONDS} s'
            continue
        said = done.stdout + done.stderr
        if done.returncode == 0:
            yield f'{call}: a success'
        if word not in said:
            yield f'{call}: "{word}" is not named: {said[-200:]!r}'
        if len(said.splitlines()) > MOST_LINES:
            yield f'{call}: {len(said.splitlines())} lines'
        yield from (f'{call}: {sign.strip()}' for sign in SIGNS_OF_A_CRASH if sign in said)


def self_test():
    """A program that knows no wrong argument, or only how to crash."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (('./glad', 'exit 0'), ('./shell', 'set -u; echo $2'),
                           ('./talker', f'seq {MOST_LINES + 1}; echo wrong; exit 1'),
                           ('./right', 'echo "$1 is wrong" >&2; exit 2')):
            path = pathlib.Path(folder, name)
            path.write_text(f'#!/bin/bash\n{text}\n')
            path.chmod(0o755)
        found = [each.split(': /')[0].split(": './")[0] for each in complaints(
            [(f'./{name} wrong', 'wrong') for name in ('glad', 'shell', 'talker', 'right')], folder)]
    return tell_self_test(found, [
        './glad wrong: a success', "./glad wrong: \"wrong\" is not named: ''",
        './shell wrong: "wrong" is not named', './shell wrong: unbound variable',
        './shell wrong: : line', f'./talker wrong: {MOST_LINES + 2} lines'])


def main():
    match sys.argv[1:]:
        case []:
            return tell(list(complaints(WRONG)), f'{len(WRONG)} wrong calls, each told what is wrong')
        case ['--self-test']:
            return self_test()
        case _:
            sys.exit(__doc__)


if __name__ == '__main__':
    sys.exit(main())

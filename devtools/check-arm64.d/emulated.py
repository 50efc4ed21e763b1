# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""The fast suite of a build for aarch64, run on this machine by qemu-aarch64.

QEMU's user mode has one model of memory, this machine's, so what it shows is that nothing is
written for one architecture, not that barriers suffice.  What it cannot do is in the file
'emulator', case by case, with the reason.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
TRIPLET = 'aarch64-linux-gnu'
EMULATOR = 'qemu-aarch64'
PROGRAM = 'app/test/dpdk-test'
LIMITS = pathlib.Path(__file__).parent / 'emulator'
SECONDS = 1800      # for one program
PATIENCE = {'DPDK_TEST_PARAMS': 'patience=30'}      # of its cases

CROSS_FILE = '''[binaries]
c = ['{triplet}-gcc', '--sysroot={root}']
ar = '{triplet}-ar'
nm = '{triplet}-nm'
objcopy = '{triplet}-objcopy'
strip = '{triplet}-strip'
pkgconfig = 'pkg-config'
exe_wrapper = ['{emulator}', '-L', '{root}']

[properties]
sys_root = '{root}'
pkg_config_libdir = '{root}/usr/lib/{triplet}/pkgconfig:{root}/usr/share/pkgconfig'

[host_machine]
system = 'linux'
cpu_family = 'aarch64'
cpu = 'armv8-a'
endian = 'little'
'''
CASE = re.compile(r'^ \+ case +\d+ : (.+?) +(passed|FAILED|skipped)\b', re.MULTILINE)
END = re.compile(r'^ \+ suite .+: \d+ passed, ', re.MULTILINE)
EVERY_CASE = '*'


class Limits:
    """What the emulator cannot do: a line for each case of a test, or * for all, and why."""

    def __init__(self, path):
        self._reasons = {}
        for line in path.read_text().splitlines():
            if line and not line.startswith('#'):
                test, case, reason = line.split(maxsplit=2)
                self._reasons[test, case] = reason

    def left_out(self, test):
        return self._reasons.get((test, EVERY_CASE))

    def explains(self, test, case):
        return (test, case.partition(' ')[0]) in self._reasons


def missing():
    """What has to be installed, or None."""
    return None if shutil.which(EMULATOR) else f'no {EMULATOR}: install qemu-user'


def build(root, folder):
    """Build dpdk-test; whether it worked."""
    if not (folder / 'build.ninja').exists():
        folder.mkdir(parents=True, exist_ok=True)
        cross = folder / 'cross.ini'
        cross.write_text(CROSS_FILE.format(root=root, triplet=TRIPLET, emulator=EMULATOR))
        if subprocess.run(['meson', 'setup', '--werror', '--cross-file', cross, folder, TREE],
                          check=False).returncode != 0:
            return False
    return subprocess.run(['ninja', '-C', folder, '-j2', PROGRAM], check=False).returncode == 0


def tests(folder):
    """(name, command, environment) of the fast suite's tests that are dpdk-test alone."""
    said = subprocess.run(['meson', 'introspect', '--tests', folder], capture_output=True,
                          text=True, check=True).stdout
    for test in json.loads(said):
        if any(name.endswith(':fast-tests') for name in test['suite']) and \
                test['cmd'][0].endswith('/' + PROGRAM):
            yield test['name'], test['cmd'], test['env']


def run_one(root, folder, command, env):
    """(exit status, what it said) of one program."""
    with (folder / 'said').open('w+', errors='replace') as said:
        try:
            status = subprocess.run([EMULATOR, '-L', root, *command], stdout=said,
                                    stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                    env={**os.environ, **env, **PATIENCE}, timeout=SECONDS,
                                    check=False).returncode
        except subprocess.TimeoutExpired:
            status = f'none after {SECONDS} s'
        said.seek(0)
        return status, said.read()


def judge(name, status, text, limits):
    """([passed, failed, skipped] of a test's cases, why it failed)"""
    if status == 77:
        return [0, 0, 1], []
    cases = CASE.findall(text)
    results = [result for _, result in cases]
    wrong = [case for case, result in cases
             if result == 'FAILED' and not limits.explains(name, case)]
    why = [f'{name}: {case}' for case in wrong]
    # a failure that is explained explains no crash after it
    if not END.search(text) or status != 0 and 'FAILED' not in results:
        why.append(f'{name}: exit status {status}')
    return [results.count('passed'), len(why), results.count('skipped') +
            results.count('FAILED') - len(wrong)], why


def run(root, folder):
    """Run the suite; the counts of its cases."""
    limits, total = Limits(LIMITS), [0, 0, 0]
    for name, command, env in tests(folder):
        reason = limits.left_out(name)
        if reason:
            print(f'SKIP  {name}: {reason}', flush=True)
            total[2] += 1
            continue
        status, text = run_one(root, folder, command, env)
        counts, why = judge(name, status, text, limits)
        total = [sum(pair) for pair in zip(total, counts)]
        print(f'{"FAIL" if why else "PASS"}  {name}: {counts[0]} cases', flush=True)
        if why:
            print('\n'.join('    | ' + line for line in [*why, *text.splitlines()[-30:]]))
    return total

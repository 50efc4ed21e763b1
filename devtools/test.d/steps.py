#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Build the project in every way it is meant to be built, and run its tests.

The last line counts the test cases of all steps: "N passed, N failed".
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
PACKAGED = pathlib.Path('/usr/lib/x86_64-linux-gnu')
COUNTS = re.compile(r'(\d+) passed, (\d+) failed(?:, (\d+) skipped)?')


class Tally:
    """Counts of cases, and what failed by name."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures = []

    def add(self, passed, failed, skipped=0):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped

    def line(self):
        skipped = f', {self.skipped} skipped' if self.skipped else ''
        return f'{self.passed} passed, {self.failed} failed{skipped}'


class Step:
    """One step: a name, the commands to run, and how its cases are counted."""

    def __init__(self, name, commands, *, group, suites=None, timeout=1200,
                 env=None):
        self.name = name
        self.commands = commands
        self.group = group
        self.suites = suites        # pattern of the lines that count cases, if any
        self.timeout = timeout
        self.env = env or {}


def steps(work):
    """All steps, in the order of running; builds go below the folder 'work'."""
    build = work / 'gcc'
    yield Step('build with gcc', [setup(build, '-Dexamples=vhost'), ninja(build)],
               group='fast')
    yield Step('fast suite', [suite(build, 'fast-tests')], group='fast', suites=build)
    yield Step('layers', [['devtools/check-layers.py', build]], group='fast')
    yield Step('check-layers finds circles and calls upwards',
               [['devtools/check-layers.py', '--self-test']], group='fast')
    yield Step('imports of the data path', [['devtools/check-datapath.py', build]], group='fast')
    yield Step('page of locks and barriers', [['devtools/check-locks.py']], group='fast')
    yield Step('check-locks finds differences', [['devtools/check-locks.py', '--self-test']],
               group='fast')
    yield Step('ABI', [['buildtools/check-abi.py', build / 'lib/librte_vhost.so.23',
                        PACKAGED / 'librte_vhost.so.23', '--headers', 'lib/librte_vhost']],
               group='fast')
    yield Step('check-abi finds differences', [['buildtools/check-abi.py', '--self-test']],
               group='fast')
    yield Step('every packaged plug-in loads', [['devtools/check-plugins', build / 'lib']],
               group='fast')
    yield Step('features and statistics are those of the packaged library',
               [['devtools/compare-answers', '--build', build]], group='fast', suites='stdout')
    yield Step('log lines are those of the packaged library',
               [['devtools/compare-log', '--build', build]], group='fast', suites='stdout')
    yield Step('control path: all are served, and nothing of them stays',
               [['devtools/control-compare', '--quick', '--build', build]], group='fast',
               suites='stdout')
    yield Step('packets of the benchmark are right',
               [[build / 'app/test-vhost-perf/dpdk-test-vhost-perf', '--no-huge', '--no-pci',
                 '--no-telemetry', '-m', '512', '--no-shconf', '--', '--packets', '4096']],
               group='fast', env={'LD_LIBRARY_PATH': str(build / 'lib')})

    clang = work / 'clang'
    yield Step('build with clang', [setup(clang, '-Dexamples=vhost', env='CC=clang'),
                                    ninja(clang)], group='full')
    yield Step('fast suite, clang', [suite(clang, 'fast-tests')], group='long', suites=clang)
    yield Step('compiles for aarch64', [['devtools/check-arm64.py', work / 'arm64']],
               group='full', suites='stdout')
    plain = work / 'no-numa'
    yield Step('build without libnuma', [setup(plain, '-Dnuma=disabled'), ninja(plain)],
               group='full')
    yield Step('fast suite, without libnuma', [suite(plain, 'fast-tests')], group='full',
               suites=plain)
    asan = work / 'asan'
    yield Step('build with ASan and UBSan',
               [setup(asan, '-Db_sanitize=address,undefined', '-Dbuildtype=debugoptimized',
                      '-Dexamples=vhost'),
                ninja(asan)], group='full')
    yield Step('fast suite, ASan and UBSan', [suite(asan, 'fast-tests', slower=5)], group='full',
               suites=asan)
    tsan = work / 'tsan'
    yield Step('build with TSan',
               # rte_spinlock in assembler is invisible to it
               [setup(tsan, '-Db_sanitize=thread', '-Db_lundef=false',
                      '-Dc_args=-DRTE_FORCE_INTRINSICS',
                      '-Dbuildtype=debugoptimized', env='CC=clang'), ninja(tsan)], group='full')
    yield Step('fast suite, TSan', [suite(tsan, 'fast-tests', slower=8)], group='full',
               suites=tsan)
    yield Step('fuzzers', [['app/test/fuzz/run', '20', work / 'fuzz']], group='full',
               suites='stdout', env={'FUZZ_SEED': '1'})
    docs = work / 'docs'
    yield Step('guides', [setup(docs, '-Denable_docs=true', '-Dtests=false'), ninja(docs)],
               group='full')

    yield Step('every vector width', [suite(build, 'simd-tests')], group='full', suites=build)
    yield Step('stress suite', [suite(build, 'stress-tests')], group='full', suites=build)
    # all of them by hand
    yield Step('real peers', [['app/test/interop/run', '--lib', build / 'lib', '--quick']],
               group='full', suites='stdout', timeout=1800)
    yield Step('guests of dpdk-vhost', [['app/test/switch/run', '--build', build, '--quick',
               '--durations']], group='full', suites='stdout', timeout=900)
    yield Step('two nodes: relocation', [['devtools/numa-lab', '--timeout', '600', '--',
               'meson', 'test', '-C', build, '--no-rebuild', '--suite', 'numa-tests',
               '--print-errorlogs', '--verbose']], group='full', suites='stdout', timeout=900)
    # the same stories, fewer of each, on machines of other shapes
    stories = ['env', 'DPDK_TEST_PARAMS=journeys=20,moves=100,steps=20',
               'DPDK_TEST=vhost_nodes_numa_autotest:vhost_relocate_numa_autotest']
    program = [build / 'app/test/dpdk-test', '--log-level', 'lib.vhost.*:critical']
    yield Step('four nodes: relocation', [['devtools/numa-lab', '--nodes', '4', '--mem-per-node',
               '1200M', '--cpus-per-node', '1', '--hugepages', '128', '--timeout', '400', '--',
               *stories, 'app/test/run-numa-test', *program]], group='full', suites='stdout',
               timeout=600)
    yield Step('two nodes, one without hugepages: relocation', [['devtools/numa-lab',
               '--hugepages', '256,0', '--timeout', '200', '--', *stories,
               'app/test/run-numa-test', '--barren', *program]], group='full', suites='stdout',
               timeout=400)
    yield Step('two nodes: a Linux guest that moves', [['devtools/numa-follow', '--quick',
               '--scenario', 'qemu', '--lib', build / 'lib', '--output', work / 'numa-follow',
               '--timeout', '400']], group='full', suites='stdout', timeout=600)
    traffic = ['devtools/numa-traffic', '--lib', build / 'lib', '--work', work / 'numa-traffic']
    yield Step('two nodes: accesses are counted right', [[*traffic, '--self-check']],
               group='full', suites='stdout', timeout=400)
    yield Step('two nodes: no remote traffic',
               [[*traffic, '--switch', 'ours', '--scenario', 'placed']],
               group='full', timeout=800)
    yield Step('two nodes: guests of dpdk-vhost', [['devtools/numa-lab', '--cpus-per-node', '4',
               '--timeout', '700', '--artifacts', work / 'switch-nodes', '--',
               'app/test/switch/run', '--build', build, '--durations', '--artifacts',
               work / 'switch-nodes', 'nodes-virtio-user', 'nodes-qemu']], group='full', suites='stdout', timeout=900)
    yield Step('two nodes: the article', [['devtools/article', '--no-build', '--lib',
               build / 'lib']], group='full', timeout=1500)


def setup(build, *options, env=None):
    again = ['--reconfigure'] if (build / 'build.ninja').exists() else []
    command = ['meson', 'setup', *again, '--werror', build, TREE, *options]
    return (['env', env] if env else []) + command


def ninja(build):
    return ['ninja', '-C', build]


def suite(build, name, slower=1):
    return ['meson', 'test', '-C', build, '--no-rebuild', '--suite', name, '--print-errorlogs',
            '--timeout-multiplier', str(slower)]


def run_commands(step, log):
    """Run a step's commands one after the other; True if all succeed."""
    env = dict(os.environ, PYTHONDONTWRITEBYTECODE='1', **step.env)
    for command in step.commands:
        command = [str(word) for word in command]
        log.write('+ ' + ' '.join(command) + '\n')
        log.flush()
        try:
            done = subprocess.run(command, cwd=TREE, env=env, stdout=log,
                                  stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                  timeout=step.timeout, check=False)
        except subprocess.TimeoutExpired:
            log.write(f'not done after {step.timeout} s\n')
            return False
        if done.returncode != 0:
            log.write(f'exit status {done.returncode}\n')
            return False
    return True


def count_cases(step, path, tally, succeeded):
    """Add a step's cases: those that it counts itself, else the step as one."""
    if step.suites is None:
        tally.add(int(succeeded), int(not succeeded))
        return
    text = path.read_text(errors='replace')
    if isinstance(step.suites, pathlib.Path):
        text = (step.suites / 'meson-logs/testlog.txt').read_text(errors='replace')
    counts = [[int(number or 0) for number in found] for found in COUNTS.findall(text)]
    for passed, failed, skipped in counts:
        tally.add(passed, failed, skipped)
    if not counts or (not succeeded and not any(failed for _, failed, _ in counts)):
        # it ended before it could count what went wrong
        tally.add(0, 1)


def run_step(step, number, folder, tally):
    path = folder / f'{number:02}-{re.sub("[^a-z0-9]+", "-", step.name.lower())}.log'
    print(f'      {step.name} ...', flush=True)
    start = time.monotonic()
    with path.open('w') as log:
        succeeded = run_commands(step, log)
    before = tally.failed
    count_cases(step, path, tally, succeeded)
    verdict = 'PASS' if tally.failed == before else 'FAIL'
    print(f'{verdict}  {step.name} ({time.monotonic() - start:.0f} s)', flush=True)
    if verdict == 'FAIL':
        tally.failures.append(step.name)
        tail = path.read_text(errors='replace').splitlines()[-60:]
        print('\n'.join('    | ' + line for line in tail))
        print(f'    the whole log: {path}', flush=True)


def arguments():
    parser = argparse.ArgumentParser(prog='devtools/test', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--fast', action='store_true', help='only what takes a few minutes and '
                        'needs neither root nor hugepages')
    parser.add_argument('--long', action='store_true', help='what CI has no time for, too: the '
                        'fast suite built with clang, which its run with TSan stands for')
    parser.add_argument('--only', metavar='TEXT', help='only steps whose name holds TEXT, and '
                        'the first build')
    parser.add_argument('--list', action='store_true', help='name the steps')
    parser.add_argument('--work', type=pathlib.Path, metavar='DIR',
                        default=TREE / 'build-test', help='where to build (build-test)')
    return parser.parse_args()


def main():
    args = arguments()
    work = args.work.resolve()
    groups = {'fast'} if args.fast else {'fast', 'full'}
    if args.long or args.only:
        groups.add('long')
    chosen = [step for step in steps(work)
              if step.group in groups and
              (not args.only or args.only in step.name or step.name == 'build with gcc')]
    if args.list:
        print('\n'.join(f'{step.group:5} {step.name}' for step in chosen))
        return 0
    work.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix='logs-', dir=work))
    tally = Tally()
    for number, step in enumerate(chosen, 1):
        run_step(step, number, folder, tally)
    if tally.failures:
        print('failed: ' + ', '.join(tally.failures))
    print(tally.line())
    return 1 if tally.failed or not tally.passed else 0


if __name__ == '__main__':
    sys.exit(main())

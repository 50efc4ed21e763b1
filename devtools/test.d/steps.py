#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Build the project in every way it is meant to be built, and run its tests.

Two steps run at a time, where they do not want the same: see lanes.py.  The last line
counts the test cases of all steps: "N passed, N failed".  Before it stands what failed, by
name, and why.
"""

import argparse
import itertools
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TREE / 'devtools'))
import lanes
import vhost_library

COUNTS = re.compile(r'(\d+) passed, (\d+) failed(?:, (\d+) skipped)?')
# Lines of a failed test that say what went wrong, wherever they are.
WORDS_OF_FAILURE = re.compile(r'FAILED|\.c:\d+: |Error: |WARNING: ThreadSanitizer|ERROR: \w+Sanitizer|'
                              r'SUMMARY: \w+Sanitizer|runtime error:')
DISTROS = ('bookworm', 'trixie', 'sid')


class Tally:
    """Counts of cases, and what failed by name."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures = []      # of each step that failed: its name, lines that say why

    def add(self, passed, failed, skipped=0):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped

    def line(self):
        skipped = f', {self.skipped} skipped' if self.skipped else ''
        return f'{self.passed} passed, {self.failed} failed{skipped}'


class Step:
    """One step: a name, the commands to run, how its cases are counted, and for the lanes
    what it makes, what it needs, and what it wants for itself."""

    def __init__(self, name, commands, *, group, suites=None, timeout=2400,
                 env=None, makes=None, needs=(), wants=''):
        self.name = name
        self.commands = commands
        self.group = group
        self.suites = suites        # where the lines that count cases are, if any
        self.timeout = timeout
        self.env = env or {}
        self.makes = makes
        self.needs = needs
        self.wants = wants


def steps(work, distros):
    """All steps, in the order of preference; builds go below the folder 'work'."""
    for name in distros:
        yield from distro_tree(name)
    yield from fast_steps(work / 'gcc')
    yield from builds(work)
    for name in distros:
        yield from distro_steps(name, work / name)
    if os.geteuid() == 0:
        yield from packages({*distros, running_release()})
    yield from machines(work, work / 'gcc')
    yield from analyses(work / 'gcc')
    yield from suites(work)


def fast_steps(build):
    """What takes a few minutes, and needs neither root nor hugepages."""
    def check(name, *commands, **more):
        return Step(name, commands, group='fast', needs=[build], **more)

    yield Step('build with gcc', [setup(build, '-Dexamples=vhost'), ninja(build)],
               group='fast', makes=build, wants=lanes.BUILD)
    yield check('layers', ['devtools/check-layers.py', build])
    yield check('check-layers finds circles and calls upwards',
                ['devtools/check-layers.py', '--self-test'])
    yield check('imports of the data path', ['devtools/check-datapath.py', build])
    yield check('page of locks and barriers', ['devtools/check-locks.py'])
    yield check('check-locks finds differences', ['devtools/check-locks.py', '--self-test'])
    yield check('codespell, shellcheck, pyflakes, licences, layout; what is silenced has a reason',
                ['devtools/check-source', 'codespell', 'shellcheck', 'pyflakes', 'reuse', 'maintainers',
                 'clang-format', 'reasons'])
    yield check('each checker finds a fault of its kind', ['devtools/check-source', '--self-test'])
    yield check('API reference has everything, described in full', ['devtools/check-reference.py'])
    yield check('check-reference finds what is missing',
                ['devtools/check-reference.py', '--self-test'])
    yield check('manual pages have the options that programs tell',
                ['devtools/check-man.py', build])
    yield check('check-man finds what is missing', ['devtools/check-man.py', '--self-test'])
    yield check('tools say what is wrong with their arguments',
                ['devtools/check-arguments.py'], ['devtools/check-arguments.py', '--self-test'])
    yield check('coverage sees what is not reached', ['devtools/coverage', '--self-test'])
    yield check('mutate judges the mutants of a toy right', ['devtools/mutate', '--self-test'])
    # they need no build: while the first one is made, they use the other core
    yield Step('models of what threads do to each other', [['doc/models/run']], group='fast',
               suites='stdout', timeout=900)
    yield Step('what the guides name is there; every line of the log is explained',
               [['devtools/check-guides'], ['devtools/check-guides', '--self-test']],
               group='fast', suites='stdout', timeout=900)
    yield check('ABI', compare_abi(build))
    yield check('check-abi finds differences', ['buildtools/check-abi.py', '--self-test'])
    yield check('every packaged plug-in loads', ['devtools/check-plugins', build / 'lib'])
    yield check('installed, every program is on the library; applications build against it',
                ['devtools/check-install', build], suites='stdout')
    yield check('features and statistics are those of the packaged library',
                ['devtools/compare-answers', '--build', build], suites='stdout')
    yield check('log lines are those of the packaged library',
                ['devtools/compare-log', '--build', build], suites='stdout')
    # the same cases each time; for long by hand
    yield check('frontends see what they see of the packaged library',
                ['devtools/fuzz-differ', '--build', build, '--self-test'],
                ['devtools/fuzz-differ', '--build', build, '--seed', '1', '--cases', '100',
                 '--seconds', '120'], suites='stdout')
    yield check('control path: all are served, and nothing of them stays',
                ['devtools/control-compare', '--quick', '--build', build], suites='stdout')
    yield check('packets of the benchmark are right',
                [build / 'app/test-vhost-perf/dpdk-test-vhost-perf', '--no-huge', '--no-pci',
                 '--no-telemetry', '-m', '512', '--no-shconf', '--', '--packets', '4096'],
                env={'LD_LIBRARY_PATH': str(build / 'lib')})
    yield check('packets of the bare loop are right',
                [build / 'app/test-vhost-perf/dpdk-test-vhost-perf', '--no-huge', '--no-pci',
                 '--no-telemetry', '-m', '512', '--no-shconf', '--', '--packets', '4096',
                 '--cells', '^(enqueue-[a-z]+-(no)?mrg-[0-9]+-multiseg|'
                            '(en|de)queue-[a-z]+-(no)?mrg-[0-9]+(-chained|-indirect)?)$'],
                env={'LD_PRELOAD': str(build / 'app/test-vhost-perf/bare/libvhost_bare.so'),
                     'LD_LIBRARY_PATH': str(build / 'lib')})
    yield check('packets of the benchmark between two cores are right',
                [build / 'app/test-vhost-perf/dpdk-test-vhost-perf', '--no-huge', '--no-pci',
                 '--no-telemetry', '-m', '512', '--no-shconf', '--', '--packets', '2048',
                 '--driver-core', str(max(os.sched_getaffinity(0))),
                 '--cells', '^(enqueue|dequeue)-[a-z]+-(no)?mrg-(64|256|1518|9000(-chained)?-tso)$'],
                env={'LD_LIBRARY_PATH': str(build / 'lib')})
    yield fast_suite('fast suite', build, group='fast', at_a_time=MANY_AT_A_TIME)


def builds(work):
    """The other ways to build what the suites run; what is slow to compile or to test comes first."""
    def build(name, folder, *options, env=None, group='full'):
        programs = SUITE_PROGRAMS if '-Dexamples=vhost' in options else SUITE_PROGRAMS[:1]
        return Step(name, [setup(work / folder, *options, env=env),
                           ninja(work / folder, *programs)],
                    group=group, makes=work / folder, wants=lanes.BUILD)

    # Without what makes gcc take five times as long for the data path under sanitizers, and
    # without the warning that is wrong then.
    quickly = ('-Doptimization=1', '-Dc_args=-fno-var-tracking -Wno-maybe-uninitialized')
    yield build('build with ASan and UBSan', 'asan', '-Db_sanitize=address,undefined',
                '-Ddebug=true', *quickly, '-Dexamples=vhost')
    # rte_spinlock in assembler is invisible to it
    yield build('build with TSan', 'tsan', '-Db_sanitize=thread', '-Db_lundef=false',
                '-Dc_args=-DRTE_FORCE_INTRINSICS', '-Dbuildtype=debugoptimized', env='CC=clang')
    yield Step('build of the fuzzers', [['app/test/fuzz/run', '--build', work / 'fuzz']],
               group='full', makes=work / 'fuzz', wants=lanes.BUILD)
    yield build('build without libnuma', 'no-libnuma', '-Dnuma=disabled', *quickly)
    yield build('build with clang', 'clang', '-Dexamples=vhost', env='CC=clang', group='long')
    yield Step('compiles for aarch64', [['devtools/check-arm64.py', work / 'arm64']],
               group='full', suites='stdout', wants=lanes.BUILD)
    yield Step('fast suite, aarch64 under qemu', [['devtools/check-arm64.py', '--suite',
               work / 'arm64']], group='long', suites='stdout', wants=lanes.BUILD)
    docs = work / 'docs'
    yield Step('guides and API reference', [setup(docs, '-Denable_docs=true', '-Dtests=false'),
               [*ninja(docs), 'doc']], group='full', makes=docs, wants=lanes.BUILD)
    yield Step('pages of the guides fit a wide and a narrow window', [
        ['devtools/check-pages', '--self-test'],
        ['devtools/check-pages', docs / 'doc/guides/html']], group='full', suites='stdout',
        needs=[docs])
    yield Step('page of dpdk-vhost-numa.py in a browser',
               [['app/test/usertools/test_vhost_numa_page.py', '--browser']], group='full',
               suites='stdout')


def analyses(build):
    """Of the source, as the build's compiler is told to read it."""
    def step(name, *words, group='long'):
        return Step(name, [['devtools/check-source', '--build', build, *words]], group=group,
                    needs=[build], wants=lanes.BUILD)

    yield step('cppcheck', 'cppcheck', group='full')
    # a minute; all of it takes seven, on two cores
    yield step('clang-tidy, scan-build, gcc -fanalyzer: what has changed last', '--recent', '8',
               'clang-tidy', 'scan-build', 'gcc', group='full')
    yield step('clang-tidy', 'clang-tidy')
    yield step('scan-build', 'scan-build')
    yield step('gcc -fanalyzer', 'gcc')


def machines(work, build):
    """Real peers, and machines with several nodes: what is emulated uses all cores."""
    def step(name, command, timeout, **more):
        return Step(name, [command], timeout=timeout, needs=[build], wants=lanes.MACHINE,
                    **{'group': 'full', 'suites': 'stdout', **more})

    # all of them by hand
    yield step('real peers', ['app/test/interop/run', '--lib', build / 'lib', '--quick',
               '--durations'], 2400)
    yield step('guests of dpdk-vhost', ['app/test/switch/run', '--build', build, '--quick',
               '--durations'], 1200)
    # little memory is filled soon
    yield step('two nodes: relocation', ['devtools/numa-lab', '--mem-per-node', '1500M',
               '--hugepages', '256', '--timeout', '900', '--', 'meson', 'test', '-C', build, '--no-rebuild', '--suite', 'numa-tests',
               '--print-errorlogs', '--verbose'], 1200)
    # the same stories, fewer of each, on machines of other shapes
    stories = ['env', 'DPDK_TEST_PARAMS=journeys=20,moves=100,steps=20',
               'DPDK_TEST=vhost_nodes_numa_autotest:vhost_relocate_numa_autotest']
    program = [build / 'app/test/dpdk-test', '--log-level', 'lib.vhost.*:critical']
    yield step('four nodes, one without hugepages: relocation', ['devtools/numa-lab', '--nodes',
               '4', '--mem-per-node', '1200M', '--cpus-per-node', '1', '--hugepages',
               '128,0,128,128', '--timeout', '600', '--', *stories, 'app/test/run-numa-test', *program], 900)
    yield step('two nodes, only one with hugepages: relocation', ['devtools/numa-lab',
               '--hugepages', '256,0', '--timeout', '400', '--', *stories,
               'app/test/run-numa-test', '--barren', *program], 600, group='long')
    yield step('two nodes: a Linux guest that moves', ['devtools/numa-follow', '--quick',
               '--scenario', 'qemu', '--lib', build / 'lib', '--output', work / 'numa-follow',
               '--timeout', '600'], 900)
    traffic = ['devtools/numa-traffic', '--lib', build / 'lib', '--work', work / 'numa-traffic']
    yield step('two nodes: accesses are counted right', [*traffic, '--self-check'], 600)
    yield step('two nodes: no remote traffic',
               [*traffic, '--switch', 'ours', '--scenario', 'placed'], 1200, suites=None)
    yield step('two nodes: guests of dpdk-vhost', ['devtools/numa-lab', '--cpus-per-node', '4',
               '--timeout', '900', '--artifacts', work / 'switch-nodes', '--',
               'app/test/switch/run', '--build', build, '--durations', '--artifacts',
               work / 'switch-nodes', 'nodes-virtio-user', 'nodes-qemu'], 1200)
    yield step('two nodes: the article', ['devtools/article', '--no-build', '--lib',
               build / 'lib'], 1500, suites=None)
    yield step('two nodes: advice helps Open vSwitch', ['devtools/article', '--no-build', '--lib',
               build / 'lib', '--picture', '--output', work / 'advice'], 1500, suites=None,
               group='long')
    yield step('two nodes: advice helps dpdk-vhost and testpmd', ['devtools/numa-lab',
               '--cpus-per-node', '4', '--timeout', '900', '--artifacts', work / 'switch-advice',
               '--', 'app/test/switch/run', '--build', build, '--durations', '--artifacts',
               work / 'switch-advice', 'nodes-advice*'], 1200, group='long')


def suites(work):
    """The suites of all builds; each is one process that mostly waits.  The longest come first."""
    yield fast_suite('fast suite, ASan and UBSan', work / 'asan', slower=10, without=['tools'])
    tsan = work / 'tsan'
    yield Step('fast suite, TSan', [suite(tsan, 'fast-tests', 16, without=['one-thread', 'tools'])],
               group='full', needs=[tsan], suites=test_log(tsan, 'fast-tests'),
               # not a second after each test for races while it ends
               env={'TSAN_OPTIONS': 'atexit_sleep_ms=100'})
    yield Step('coverage is as listed', [['devtools/coverage', '--build', work / 'coverage']],
               group='full', wants=lanes.BUILD)
    yield Step('fast suite, TSan, what has one thread', [suite(tsan, 'one-thread', 16)],
               group='long', needs=[tsan], suites=test_log(tsan, 'one-thread'))
    yield Step('fast suite, without libnuma', [suite(work / 'no-libnuma', 'fast-tests', 4,
               NODE_TESTS, at_a_time=MANY_AT_A_TIME)], group='full',
               suites=test_log(work / 'no-libnuma', 'fast-tests'), needs=[work / 'no-libnuma'])
    yield fast_suite('fast suite, clang', work / 'clang', group='long', at_a_time=MANY_AT_A_TIME)
    # always the same: who changes a file has to have tested what is drawn from it
    yield Step('mutants', [['devtools/mutate', '--count', '20', '--units', '4', '--table',
               '--last', 'devtools/mutate.d/sample.csv', '--least', '100', '--patience', '60',
               '--plain', work / 'gcc', '--checked', work / 'asan', '--raced', work / 'tsan']],
               group='full', suites='stdout', wants=lanes.BUILD,
               needs=[work / 'gcc', work / 'asan', work / 'tsan'])
    for name, suite_name in (('every vector width', 'simd-tests'), ('stress suite', 'stress-tests')):
        yield Step(name, [suite(work / 'gcc', suite_name, 4)], group='full',
                   suites=test_log(work / 'gcc', suite_name), needs=[work / 'gcc'])
    # one of those that are like each other: 30 s of a core; 50 s with two of them
    yield Step('every fault once', every_fault(work / 'gcc'), group='full',
               suites=test_log(work / 'gcc', 'fault-tests'), needs=[work / 'gcc'],
               env={'DPDK_TEST_PARAMS': 'patience=2,like=1'})
    yield Step('every fault, more of those that are like each other', every_fault(work / 'gcc'),
               group='long', suites=test_log(work / 'gcc', 'fault-tests'), needs=[work / 'gcc'])
    yield Step('every fault once, ASan and UBSan', every_fault(work / 'asan'),
               group='long', suites=test_log(work / 'asan', 'fault-tests'), needs=[work / 'asan'],
               env={'DPDK_TEST_PARAMS': 'patience=5,like=1'})
    yield Step('fuzzers', [['app/test/fuzz/run', '20', work / 'fuzz']], group='full',
               suites='stdout', env={'FUZZ_SEED': '1'}, needs=[work / 'fuzz'])


def distro_tree(name):
    yield Step(f'{name}: root tree', [['devtools/distro', name]], group='full', timeout=2400,
               makes=name)


def packages(releases):
    """Made and used in root trees of their own."""
    for name in sorted(releases & set(DISTROS)):
        yield Step(f'Debian packages: {name}', [['devtools/check-packages', name]],
                   group='long', suites='stdout', timeout=7200, wants=lanes.BUILD)


def distro_steps(name, build):
    """The library of another Debian release, in that release's own root tree."""
    def step(title, command, *, needs=build, timeout=1800, **more):
        inside = ['devtools/distro', '--timeout', timeout, '--bind', build.parent,
                  '--env', 'PYTHONDONTWRITEBYTECODE=1', name]
        return Step(f'{name}: {title}', [[*inside, *words] for words in command],
                    timeout=timeout + 60, needs=[needs],
                    **{'group': 'full', **more})

    yield step('build', [setup(build, '-Dexamples=vhost'), ninja(build)], needs=name,
               makes=build, wants=lanes.BUILD)
    yield step('ABI', [compare_abi(build)])
    yield step('every packaged plug-in loads', [['devtools/check-plugins', build / 'lib']])
    yield step('features and statistics are those of the packaged library',
               [['devtools/compare-answers', '--build', build]], suites='stdout')
    yield step('log lines are those of the packaged library',
               [['devtools/compare-log', '--build', build]], suites='stdout')
    yield step('real peers', [['app/test/interop/run', '--lib', build / 'lib', '--durations',
               *DISTRO_PEERS]], suites='stdout', wants=lanes.MACHINE)
    # Debian 12's kernel has none
    yield Step(f'{name}: two nodes: VDUSE', [['devtools/numa-lab', '--distro', name,
               '--timeout', '600', '--', 'app/test/interop/run', '--lib', build / 'lib',
               '--durations', 'vduse-short']], group='full', suites='stdout', timeout=900,
               needs=[build], wants=lanes.MACHINE)
    yield step('two nodes: the article', [['devtools/article', '--no-build', '--lib',
               build / 'lib', '--output', build / 'article']], wants=lanes.MACHINE, group='long')
    yield step('fast suite', [suite(build, 'fast-tests', 4, at_a_time=MANY_AT_A_TIME)],
               suites=test_log(build, 'fast-tests'))


# A case for each kind of peer: the release's own testpmd, QEMU and Open vSwitch.
DISTRO_PEERS = ('testpmd-server-split-mergeable-1q', 'testpmd-client-packed-plain-4q',
                'qemu-mergeable', 'qemu-packed', 'qemu-client-2q', 'iommu-strict', 'migrate',
                'ovs-tcp-offloads', 'reconnect-backend-kills', 'crypto-openssl')

# What a build without libnuma does differently: it knows no nodes; and that packets flow.
NODE_TESTS = [f'vhost_{name}_autotest' for name in (
    'api', 'block', 'evidence', 'heap', 'map', 'net', 'node', 'numa', 'placement', 'queue',
    'relocate', 'relocate_packed', 'settle', 'telemetry')]


# Without sanitizers tests wait more than they compute.
MANY_AT_A_TIME = 4

# What the fast suite runs, the second one of dpdk-vhost.
SUITE_PROGRAMS = ('app/test/dpdk-test', 'examples/vhost/test/vhost-switch-test')


def setup(build, *options, env=None):
    again = ['--reconfigure'] if (build / 'build.ninja').exists() else []
    command = ['meson', 'setup', *again, '--werror', build, TREE, *options]
    return (['env', env] if env else []) + command


def ninja(build, *targets):
    # The other lane is to get on as well.
    return ['ninja', '-C', build, '-j2', *targets]


def suite(build, name, slower=1, tests=(), without=(), at_a_time=2):
    """The tests of a suite, or some of them, but for those that are of another suite as well."""
    left_out = [word for other in without for word in ('--no-suite', other)]
    return ['meson', 'test', '-C', build, '--no-rebuild', '--suite', name, *left_out,
            '--logbase', name, '--timeout-multiplier', str(slower),
            '--num-processes', str(at_a_time), *tests]


def every_fault(build):
    """What only this suite needs is not part of the build."""
    return [[*ninja(build), 'app/test/faults/dpdk-test-faults'], suite(build, 'fault-tests', 4)]


def test_log(build, name):
    """Where meson writes what a suite's tests said."""
    return build / f'meson-logs/{name}.txt'


def fast_suite(name, build, *, group='full', slower=2, without=(), at_a_time=2):
    return Step(name, [suite(build, 'fast-tests', slower, without=without, at_a_time=at_a_time)],
                group=group, needs=[build], suites=test_log(build, 'fast-tests'))


def compare_abi(build):
    """Names and layouts against the packaged library of the same ABI."""
    return ['sh', '-euc', 'name=$(devtools/vhost_library.py "$1")\n'
            'exec buildtools/check-abi.py "$1/$name" "$2/$name" --headers lib/librte_vhost',
            'sh', build / 'lib', vhost_library.PACKAGED]


def run_commands(step, log):
    """Run a step's commands one after the other; whether all succeed, and the processor time
    that they took, in seconds."""
    env = dict(os.environ, PYTHONDONTWRITEBYTECODE='1', **step.env)
    processor = 0
    for command in step.commands:
        command = [str(word) for word in command]
        log.write('+ ' + ' '.join(command) + '\n')
        log.flush()
        process = subprocess.Popen(command, cwd=TREE, env=env, stdout=log,
                                   stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        clock = threading.Timer(step.timeout, process.kill)
        clock.start()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        late = clock.finished.is_set()
        clock.cancel()
        processor += used.ru_utime + used.ru_stime
        if process.returncode != 0:
            log.write(f'not done after {step.timeout} s\n' if late else
                      f'exit status {process.returncode}\n')
            return False, processor
    return True, processor


def counts_of(step, path, succeeded):
    """[passed, failed, skipped] of a step's cases: those that it counts itself, else it is one."""
    if step.suites is None:
        return [int(succeeded), int(not succeeded), 0]
    where = step.suites if isinstance(step.suites, pathlib.Path) else path
    text = where.read_text(errors='replace') if where.exists() else ''
    counts = [[int(number or 0) for number in found] for found in COUNTS.findall(text)]
    total = [sum(column) for column in zip(*counts)] or [0, 0, 0]
    if not counts or (not succeeded and total[1] == 0):
        # it ended before it could count what went wrong
        total[1] += 1
    return total


def failed_tests(path):
    """What the failed tests of a meson suite said, by its log in JSON; the end of each."""
    lines = []
    tests = [json.loads(line) for line in path.read_text().splitlines()]
    for test in tests:
        if test['result'] in ('OK', 'SKIP', 'EXPECTEDFAIL'):
            continue
        said = (test.get('stdout', '') + test.get('stderr', '')).splitlines()
        lines.append(f"{test['name']}: {test['result']}, exit status {test.get('returncode')}, "
                     f"after {test.get('duration', 0):.1f} s")
        told = [line for line in said if WORDS_OF_FAILURE.search(line)][:20]
        lines += ['  ' + line for line in told + ['...'] + said[-5 if told else -20:]]
    return lines


def why_failed(step, text):
    """Lines of a failed step that say which case failed, and why."""
    if isinstance(step.suites, pathlib.Path) and step.suites.with_suffix('.json').exists():
        return failed_tests(step.suites.with_suffix('.json'))
    if step.suites is None:
        return text[-20:]
    lines = []
    for number, line in enumerate(text):
        if line.startswith('FAIL'):
            # what it printed stands below its name, further in
            said = itertools.takewhile(lambda other: other.startswith(' '), text[number + 1:])
            lines += [line, *itertools.islice(said, 20)]
    return lines or [line for line in text if WORDS_OF_FAILURE.search(line)][:20] + text[-5:]


class Runner:
    """Runs steps, tells of each how it ended, and keeps the counts; for several lanes."""

    def __init__(self, folder, limit):
        self.tally = Tally()
        self.processor = 0      # seconds of all steps
        self._folder = folder
        self._end_of_starts = time.monotonic() + 60 * limit
        self._number = 0
        self._tell = threading.Lock()

    def __call__(self, step, ready):
        with self._tell:
            if time.monotonic() > self._end_of_starts:
                self.tally.add(0, 0, 1)
                print(f'SKIP  {step.name}: no time', flush=True)
                return False
            self._number += 1
            name = re.sub('[^a-z0-9]+', '-', step.name.lower())
            path = self._folder / f'{self._number:02}-{name}.log'
            print(f'      {step.name} ...', flush=True)
        start = time.monotonic()
        with path.open('w') as log:
            if isinstance(step.suites, pathlib.Path):
                step.suites.unlink(missing_ok=True)
            succeeded, processor = run_commands(step, log) if ready else (False, 0)
            if not ready:
                log.write('not run: what it needs was not made\n')
        with self._tell:
            self.processor += processor
            took = f'{time.monotonic() - start:.0f} s, of a core {processor:.0f}'
            return self._end(step, path, succeeded, took)

    def _end(self, step, path, succeeded, took):
        passed, failed, skipped = counts_of(step, path, succeeded)
        self.tally.add(passed, failed, skipped)
        print(f'{"FAIL" if failed else "PASS"}  {step.name} ({took})', flush=True)
        if failed:
            text = path.read_text(errors='replace').splitlines()
            self.tally.failures.append((step.name, why_failed(step, text)))
            print('\n'.join('    | ' + line for line in text[-40:]))
            print(f'    the whole log: {path}', flush=True)
        return not failed


def arguments():
    parser = argparse.ArgumentParser(prog='devtools/test', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--fast', action='store_true', help='only what takes a few minutes and '
                        'needs neither root nor hugepages')
    parser.add_argument('--long', action='store_true', help='what CI has no time for, too: the '
                        'build with clang and its fast suite, which those with TSan and for '
                        'coverage stand for, whole runs of faults, of checkers and of TSan, the '
                        'article on another release, advice that is followed, and the '
                        'Debian packages')
    parser.add_argument('--only', metavar='TEXT', action='append', help='only steps whose name '
                        'holds TEXT, and the builds that they need; may be repeated')
    parser.add_argument('--distro', metavar='NAME', action='append', choices=(*DISTROS, 'none'),
                        help='the other Debian release to build and test for, in a root tree of '
                        'it: bookworm, trixie, sid, or none; may be repeated (trixie)')
    parser.add_argument('--limit', metavar='MINUTES', type=float, default=70,
                        help='start no step later than that; what is left out is named and '
                        'counted as skipped (70)')
    parser.add_argument('--list', action='store_true', help='name the steps')
    parser.add_argument('--work', type=pathlib.Path, metavar='DIR',
                        default=TREE / 'build-test', help='where to build (build-test)')
    return parser.parse_args()


def running_release():
    """The name of the Debian release that this machine has."""
    return platform.freedesktop_os_release().get('VERSION_CODENAME', '')


def other_releases(wanted):
    """The releases to make root trees of, and why one is left out, if so."""
    chosen = [name for name in wanted or ['trixie'] if name != 'none']
    here = running_release()
    if chosen and os.geteuid() != 0:
        return [], f'SKIP  {", ".join(chosen)}: a root tree needs root'
    if here in chosen:
        return [name for name in chosen if name != here], f'SKIP  {here}: it is this machine'
    return chosen, None


def choose(args, every):
    """The steps that the user wants, with what they need."""
    groups = {'fast'} if args.fast else {'fast', 'full'}
    if args.long or args.only:
        groups.add('long')
    every = [step for step in every if step.group in groups]
    if not args.only:
        return every
    for text in args.only:
        if not any(text in step.name for step in every):
            sys.exit(f'devtools/test: no step has "{text}" in its name, see --list')
    chosen = [step for step in every if any(text in step.name for text in args.only)]
    for step in chosen:     # grows: what is needed may need something itself
        chosen += [other for other in every
                   if other.makes in step.needs and other not in chosen]
    return [step for step in every if step in chosen]


def main():
    args = arguments()
    work = args.work.resolve()
    distros, left_out = other_releases(args.distro)
    chosen = choose(args, steps(work, distros))
    if args.list:
        print('\n'.join(f'{step.group:5} {step.name}' for step in chosen))
        return 0
    work.mkdir(parents=True, exist_ok=True)
    runner = Runner(pathlib.Path(tempfile.mkdtemp(prefix='logs-', dir=work)), args.limit)
    if left_out and not args.fast:
        print(left_out)
        runner.tally.add(0, 0, 1)
    start = time.monotonic()
    lanes.run(chosen, runner)
    print(f'{(time.monotonic() - start) / 60:.0f} minutes, of a core {runner.processor / 60:.0f}')
    tally = runner.tally
    # Last, where a reader of CI's output looks, and where it is kept if that is cut short.
    for name, reasons in tally.failures:
        print(f'failed: {name}')
        print('\n'.join('    | ' + line for line in reasons))
    if len(tally.failures) > 1:
        print('failed, all of them: ' + '; '.join(name for name, _ in tally.failures))
    print(tally.line())
    return 1 if tally.failed or not tally.passed else 0


if __name__ == '__main__':
    sys.exit(main())

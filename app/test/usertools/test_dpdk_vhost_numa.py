#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Tests of usertools/dpdk-vhost-numa.py, on recorded and on made-up states.

The recording is of Open vSwitch and two guests in the emulated machine, all
placed; the tests put one thing after the other on the wrong node.
"""

import contextlib
import copy
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
import xml.etree.ElementTree as ElementTree

import fake_program
import recorded
from recorded import HERE, RECORDED, TOOL, guest_of, run, run_all

SVG = '{http://www.w3.org/2000/svg}'
LEGEND = 5              # boxes that explain the colours
REMOTE, NOTHING, UNKNOWN = 3, 4, 5      # exit statuses of --check


def drawn(*arguments, state=None):
    """The shapes of a picture; it must be XML."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'picture.svg')
        status, text = run(*arguments, '--svg', path, state=state)
        assert (status, text) == (0, ''), text
        root = ElementTree.parse(path).getroot()
    assert root.tag == SVG + 'svg'
    return root


def boxes(state):
    """[(style, words)] of the boxes of a state's picture."""
    shapes = list(drawn(state=state))
    return [(rect.get('class'), label.text) for rect, label in zip(shapes, shapes[1:])
            if rect.tag == SVG + 'rect' and label.tag == SVG + 'text' and
            label.get('class') == 'center'][LEGEND:]


def remote_boxes(state):
    return [words for style, words in boxes(state) if style == 'remote']


def verdicts(state):
    """{guest: verdict} as the table says."""
    _, text = run(state=state)
    return dict(re.findall(r'^(\S+)  .*  (local|unknown|not running|REMOTE: .*)$', text,
                           re.MULTILINE))


class Recorded(unittest.TestCase):
    """One thing on the wrong node at a time."""

    def setUp(self):
        self.state = copy.deepcopy(RECORDED)
        self.guest = guest_of(self.state, 'vhost1')

    def check_remote(self, verdict, *words):
        """vhost1 is remote for that reason, and drawn so; vhost0 is not."""
        found = verdicts(self.state)
        self.assertEqual(found['vhost1'], f'REMOTE: {verdict}')
        self.assertEqual(found['vhost0'], 'local')
        drawn = remote_boxes(self.state)
        self.assertEqual(len(drawn), len(words), drawn)
        for each, word in zip(sorted(drawn), sorted(words)):
            self.assertIn(word, each)
        self.assertEqual(run('--check', state=self.state)[0], REMOTE)

    def test_all_placed_is_local(self):
        self.assertEqual(verdicts(self.state), {'vhost0': 'local', 'vhost1': 'local'})
        self.assertEqual(remote_boxes(self.state), [])
        self.assertEqual(run('--check', state=self.state)[0], 0)

    def test_every_thing_is_drawn(self):
        drawn = boxes(self.state)
        for style in ('memory', 'device', 'buffers'):
            self.assertEqual([each for each, _ in drawn].count(style), 2, style)
        self.assertEqual([each for each, _ in drawn].count('queue'), 4)
        self.assertEqual(len([1 for each, words in drawn
                              if each == 'core' and words.startswith('CPU')]), 2)

    def test_device_on_wrong_node(self):
        self.guest['node'] = 0
        self.check_remote('device', 'device')

    def test_queue_on_wrong_node(self):
        self.guest['queues'][1]['node'] = 0
        self.check_remote('queue 1', 'queue 1')

    def test_buffers_on_wrong_node(self):
        self.guest['mbufs_node'] = 0
        self.check_remote('buffers', 'buffers ovs')

    def test_core_on_wrong_node(self):
        self.guest['cpus'] = guest_of(self.state, 'vhost0')['cpus']
        cpu = self.guest['cpus'][0]
        self.check_remote('core', str(cpu), f'CPU {cpu} ')

    def test_application_that_was_not_told(self):
        self.guest['app_node'] = 0
        self.guest['mbufs_node'] = 1
        self.check_remote('application')

    def test_guest_on_two_nodes_with_queues_on_both(self):
        """Each queue belongs to its ring's node, not to most of the memory."""
        self.guest['regions'].append({'size': 4096, 'evidence': 'pages', 'bytes': {'0': 4096}})
        self.guest['queues'][0].update(node=0, ring_node=0)
        self.assertEqual(verdicts(self.state)['vhost1'], 'local')
        self.assertEqual(remote_boxes(self.state), [])

    def test_memory_that_nobody_knows(self):
        for region in self.guest['regions']:
            region['bytes'] = {}
        self.guest['node'] = 0
        for ring in self.guest['queues']:
            ring['ring_node'] = -1
        self.assertEqual(verdicts(self.state)['vhost1'], 'unknown')
        self.assertEqual(remote_boxes(self.state), [])

    def test_as_much_memory_on_either_node(self):
        self.guest['regions'] = [{'size': 8192, 'evidence': 'pages',
                                  'bytes': {'0': 4096, '1': 4096}}]
        self.assertEqual(verdicts(self.state)['vhost1'], 'local')

    def test_guest_that_does_not_run(self):
        self.guest['running'] = 0
        self.guest['cpus'] = [0]
        self.assertEqual(verdicts(self.state)['vhost1'], 'not running')

    def test_refusal_and_drift_are_told(self):
        self.guest.update(node=0, refusals=3, last_refusal='no memory on node 1',
                          drifts=1)
        table = run(state=self.state)[1]
        picture = ' '.join(drawn(state=self.state).itertext())
        for shown in table, picture:
            self.assertIn('refused 3 times, last: no memory on node 1', shown)
            self.assertIn('drift: memory or rings were on another node than before, once',
                          shown)

    def test_application_that_was_not_told_can_be_told(self):
        self.guest.update(app_node=0, mbufs_node=1)
        self.assertIn(f'/vhost/numa_refresh,{self.guest["vid"]}', run(state=self.state)[1])

    def test_node_that_is_not_known_is_said(self):
        self.guest['node'] = -1
        self.assertIn('on a node that is not known: device',
                      ' '.join(drawn(state=self.state).itertext()))

    def check_line(self, status, *words):
        """What --check says, and that it is one line."""
        told = run('--check', state=self.state)
        self.assertEqual(told[0], status, told)
        self.assertEqual(told[1].count('\n'), 1, told)
        for word in words:
            self.assertIn(word, told[1])

    def test_check_says_one_line(self):
        self.check_line(0, 'OK: 2 guests, 2 local\n')
        self.guest['node'] = 0
        self.check_line(REMOTE, 'REMOTE: 2 guests, 1 local, 1 remote: vhost1 of ovs-vswitchd',
                        ': device\n')

    def test_check_of_nothing_is_not_green(self):
        for guest in self.state['programs'][0]['devices']:
            guest['running'] = 0
        self.check_line(NOTHING, '2 not running')
        self.state['programs'][0]['devices'] = []
        self.check_line(NOTHING, '1 program, no guest')
        self.state['programs'] = []
        self.check_line(NOTHING, 'no program')
        self.assertEqual(run('--check', '--allow-none', state=self.state)[0], 0)

    def test_check_of_memory_that_nobody_knows(self):
        for region in self.guest['regions']:
            region['bytes'] = {}
        self.check_line(UNKNOWN, '1 unknown')
        self.assertEqual(run('--check', '--allow-none', state=self.state)[0], UNKNOWN)
        guest_of(self.state, 'vhost0')['node'] = 1
        self.check_line(REMOTE)

    def test_program_on_another_library(self):
        other = {'prefix': 'rte', 'pid': 5, 'version': 'DPDK 22.11', 'program': 'dpdk-testpmd',
                 'library': '/usr/lib/librte_vhost.so.23.0'}
        self.state.update(programs=[], others=[other, {**other, 'library': ''}])
        for text in run(state=self.state)[1], run('--check', state=self.state)[1]:
            self.assertIn('no program with this vhost library answers', text)
            self.assertIn('dpdk-testpmd (pid 5, prefix rte, DPDK 22.11) runs on another vhost '
                          'library, /usr/lib/librte_vhost.so.23.0', text)
            self.assertIn('LD_LIBRARY_PATH', text)
            self.assertIn('has no vhost library loaded', text)

    def test_arguments_that_are_wrong(self):
        for words in (('--watch', '0'), ('--watch', '-1'), ('--watch', 'nan'), ('--sample', '0'),
                      ('--openmetrics', ':99999'), ('--openmetrics', ':abc')):
            self.assertEqual(run_all(*words, state=self.state)[0], 2, words)
        self.state['machine']['nodes'] = []
        with tempfile.TemporaryDirectory() as folder:
            status, _, err = run_all('--svg', os.path.join(folder, 'x.svg'), state=self.state)
            self.assertEqual((status, os.listdir(folder)), (1, []))
        self.assertIn('is not what --json prints', err)

    def test_picture_to_stdout(self):
        self.assertTrue(run('--svg', '-', state=self.state)[1].startswith('<svg '))

    def test_many_queues_share_a_box(self):
        first = self.guest['queues'][0]
        self.guest['queues'] = [{**first, 'queue': number} for number in range(32)]
        self.guest['queues'][5]['node'] = 0
        shown = [words for _, words in boxes(self.state)]
        self.assertIn('queues 0-4,6-31', shown)
        self.assertEqual(remote_boxes(self.state), ['queue 5 to guest'])

    def test_long_names_leave_the_verdict(self):
        self.guest.update(node=0, name='x' * 300, path='/run/' + 'x' * 300)
        titles = [each.text for each in drawn(state=self.state).iter(SVG + 'text')
                  if each.get('class') == 'alarm']
        self.assertEqual(len(titles), 1)
        self.assertRegex(titles[0], '^x+…x+: REMOTE: device$')

    def test_names_that_are_not_xml(self):
        self.guest['name'] = '<a&"b>'
        self.state['programs'][0]['pools'][0]['name'] = '<&>'
        self.assertIn(('buffers', 'buffers <&>'), boxes(self.state))

    def test_nodes_with_gaps_between_their_numbers(self):
        self.state['machine']['nodes'].append({
            'node': 8, 'memory': 0, 'free': 0, 'hugepages': {}, 'distances': {}, 'cpus': []})
        self.guest['node'] = 8
        self.check_remote('device', 'device')

    def test_more_cores_than_fit_in_a_row(self):
        first = self.state['machine']['nodes'][0]['cpus']
        first += [{**first[0], 'cpu': 100 + number, 'core': 1000 + number}
                  for number in range(40)]
        self.assertIn(('idle', '139'), boxes(self.state))

    def test_no_program(self):
        self.state['programs'] = []
        self.assertIn('no program', run(state=self.state)[1])
        self.assertEqual(boxes(self.state), [('idle', str(cpu['cpu']))
                                             for node in self.state['machine']['nodes']
                                             for cpu in node['cpus']])

    def test_nothing_overlaps_or_leaves_the_picture(self):
        for name, change in CROWDS.items():
            with self.subTest(name):
                self.setUp()
                change(self.state, self.guest)
                self.check_geometry(drawn(state=self.state))

    def check_geometry(self, picture):
        width, height = (float(picture.get(key)) for key in ('width', 'height'))
        rectangles = [(each.get('class'), *(float(each.get(key)) for key in (
            'x', 'y', 'width', 'height'))) for each in picture.iter(SVG + 'rect')
            if each.get('x')]
        for style, x, y, wide, high in rectangles:
            self.assertTrue(x >= 0 and y >= 0 and x + wide <= width and y + high <= height,
                            (style, x, y))
        around = ('node', 'band', 'cache')
        inner = [each for each in rectangles if each[0] not in around]
        for one, other in itertools.combinations(inner, 2):
            apart = one[1] + one[3] <= other[1] or other[1] + other[3] <= one[1] or \
                one[2] + one[4] <= other[2] or other[2] + other[4] <= one[2]
            self.assertTrue(apart, (one, other))
        for each in picture.iter(SVG + 'text'):
            if 'center' not in each.get('class'):
                self.assertLess(float(each.get('x')) + NARROW * len(each.text), width, each.text)
        for path in picture.iter(SVG + 'path'):
            across = [float(word) for word in re.findall(r'[\d.]+', path.get('d'))][::2]
            self.assertTrue(all(0 <= x <= width for x in across), path.get('d'))

    def test_reach_passes_above_the_nodes_between(self):
        CROWDS['four nodes'](self.state, self.guest)
        picture = drawn(state=self.state)
        edges = [(float(each.get('y')), float(each.get('y')) + float(each.get('height')))
                 for each in picture.iter(SVG + 'rect')
                 if each.get('class') in ('memory', 'device', 'queue', 'buffers', 'remote')]
        paths = [list(map(float, re.findall(r'[\d.]+', each.get('d'))))
                 for each in picture.iter(SVG + 'path')]
        lanes = [points[7] for points in paths if len(points) > 8]
        self.assertTrue(lanes)
        for lane in lanes:
            self.assertFalse([edge for edge in edges if edge[0] <= lane <= edge[1]])

    def test_something_else_is_read(self):
        for text in ('{}', '[]', '{"machine": 1, "programs": [{}]}', '"x"', 'no JSON', ''):
            with tempfile.NamedTemporaryFile('w') as file:
                file.write(text)
                file.flush()
                self.assertEqual(run_all('--read', file.name), (
                    1, '', f'dpdk-vhost-numa: {file.name} is not what --json prints\n'))

    def test_programs_of_others(self):
        self.state.update(programs=[], closed=2)
        self.assertIn('2 of other users', run(state=self.state)[1])
        self.state.update(closed_folders=['/run/dpdk'])
        self.assertIn('2 of other users may not be asked and /run/dpdk may not be looked into '
                      '(try as root)', run(state=self.state)[1])
        self.state.update(prefixes=['one', 'two'])
        self.assertIn('the prefix one or two answers', run(state=self.state)[1])

    def test_advice_where_nothing_is_seen(self):
        other = {'prefix': 'rte', 'pid': 5, 'version': '', 'program': 'x', 'library': '/lib/y'}
        self.state.update(programs=[], others=[other])
        text = run('--advise', state=self.state)[1]
        self.assertIn('nothing to advise: no program with this vhost library answers; x', text)
        self.assertNotIn('nothing remote', text)

    def test_installed(self):
        """The package is found in share/ beside bin/, through a link, too."""
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, 'bin/dpdk-vhost-numa.py')
            os.mkdir(os.path.dirname(program))
            shutil.copy(TOOL, program)
            shutil.copytree(TOOL.parent / 'vhost_numa',
                            os.path.join(folder, 'share/dpdk-vhost-numa/vhost_numa'))
            link = os.path.join(folder, 'link')
            os.symlink(program, link)
            done = subprocess.run([sys.executable, '-I', link, '--help'], capture_output=True,
                                  text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        self.assertIn('--file-prefix', done.stdout)

    def test_all_of_the_package_is_installed(self):
        listed = re.findall(r"'vhost_numa/(\w+\.py)'", (TOOL.parent / 'meson.build').read_text())
        self.assertEqual(listed, sorted(path.name for path in
                                        (TOOL.parent / 'vhost_numa').glob('*.py')))

    def test_json_can_be_read_again(self):
        text = run('--json', state=self.state)[1]
        self.assertEqual(run(state=json.loads(text)), run(state=self.state))

    def test_watch_goes_on(self):
        with tempfile.NamedTemporaryFile('w') as file:
            json.dump(self.state, file)
            file.flush()
            with subprocess.Popen([sys.executable, TOOL, '--read', file.name, '--watch', '0.1'],
                                  stdout=subprocess.PIPE, text=True) as watching:
                tables = 0
                for line in watching.stdout:
                    tables += line.startswith('NODE')
                    if tables == 3:
                        break
                watching.terminate()
        self.assertEqual(tables, 3)


NARROW = 5.5            # pixels, a character of the smallest text


def many_guests(state, guest):
    program = state['programs'][0]
    for vid in range(2, 8):
        more = copy.deepcopy(guest)
        more.update(vid=vid, name=f'vhost{vid}', node=vid % 2)
        more['queues'] = [{**more['queues'][0], 'queue': number, 'node': number % 2}
                          for number in range(8)]
        program['devices'].append(more)


def four_nodes(state, guest):
    nodes = state['machine']['nodes']
    for number in 8, 9:
        nodes.append({**nodes[0], 'node': number, 'cpus': [
            {**nodes[0]['cpus'][0], 'cpu': number * 10 + cpu, 'core': number * 1000 + cpu}
            for cpu in range(16)]})
    guest['node'] = 9
    guest['queues'][0]['node'] = 8
    state['programs'][0]['devices'][0]['node'] = 9


def many_threads(state, guest):
    for number, node in enumerate(state['machine']['nodes']):
        node['cpus'] = [{'cpu': number * 64 + core + thread * 128, 'core': core,
                         'cache': core // 8, 'cache_size': 1 << 25, 'package': number}
                        for core in range(64) for thread in range(2)]
        node['hugepages']['1048576'] = {'total': 1000, 'free': 999}
    guest['drifts'] = 12345


def one_node(state, guest):
    state['machine']['nodes'].pop()
    guest['refusals'], guest['last_refusal'] = 1 << 63, 'no memory on node 1' * 10


def long_names(state, guest):
    state['machine']['name'] = 'a-machine' * 30
    state['programs'][0].update(program='program' * 30, prefix='prefix' * 30)
    state['programs'][0]['pools'][0]['name'] = 'pool' * 30
    guest.update(name='guest' * 60, node=0)


CROWDS = {'many guests': many_guests, 'four nodes': four_nodes, 'many threads': many_threads,
          'one node': one_node, 'long names': long_names}

ANSWERS = {
    '/vhost/list': [0, 1],
    '/vhost/info,0': {'vid': 0, 'path': '/tmp/x/vm0', 'running': 1, 'numa_node': 0,
                      'vrings': 2, 'vring_nodes': [0, 0]},
    '/vhost/numa,0': {'policy': 'off', 'policy_node': -1, 'app_node': 0, 'moves': 0,
                      'refusals': 0, 'last_refusal': '',
                      'regions': {'0': {'size': 8192, 'evidence': 'pages', 'node': 1,
                                        'bytes': {'1': 8192}}}},
    '/vhost/vq,0,0': {'node': 0, 'ring_node': 1, 'live': 1, 'direction': 'to guest'},
    '/vhost/vq,0,1': {'node': 0, 'ring_node': 1, 'live': 0, 'direction': 'from guest'},
    '/mempool/list': ['mb_pool_0'],
    '/mempool/info,mb_pool_0': {'size': 100, 'socket_id': 0},
    '/eal/memzone_list': [0],
    '/eal/memzone_info,0': {'Name': 'MP_mb_pool_0_0', 'Address': '0x10', 'Length': 4096,
                            'Socket': 1},
}


# Open vSwitch's own words, for whoever asks the right socket the right thing.
APPCTL = """#!/bin/sh
[ "$*" = "-t {control} dpif-netdev/pmd-rxq-show" ] || exit 1
cat <<EOF
pmd thread numa_id 0 core_id 4:
  isolated : false
  port: vm0               queue-id:  0 (enabled)   pmd usage:  0 %
  overhead:  0 %
pmd thread numa_id 1 core_id 7:
  isolated : false
  port: other             queue-id:  0 (enabled)   pmd usage:  0 %
  port: vm0               queue-id:  1 (enabled)   pmd usage: 12 %
EOF
"""


def odd_answers(answers):
    """[(command, answer)]: of another kind, incomplete, or with odd values in it."""
    for command, answer in [*answers.items(), ('banner', {})]:
        for odd in (None, [], 'x', 5, [None], {'x': None}, ['\x1b[31m\n<&\ud800'], [10 ** 30]):
            yield command, odd
        if isinstance(answer, dict):
            for key, odd in itertools.product(answer, (
                    None, {'x': {'bytes': {'y': 'z'}}}, '\x1b[2J\n\0<', 10 ** 400,
                    float('inf'), [99, -7, 'x'])):
                yield command, {**answer, key: odd}


class Asked(unittest.TestCase):
    """Programs that answer, or do not."""

    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.addCleanup(self.stack.close)

    def start(self, prefix, answers, *options, name=sys.executable):
        folder = os.path.join(self.folder, prefix)
        os.makedirs(folder)
        recipe = os.path.join(folder, 'answers')
        with open(recipe, 'w') as file:
            json.dump(answers, file)
        program = self.stack.enter_context(subprocess.Popen(
            [name, HERE / 'fake_program.py',
             os.path.join(folder, 'dpdk_telemetry.v2'), recipe, *options],
            executable=sys.executable, env={**os.environ, 'PYTHONHOME': sys.base_prefix},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        # Whatever happens, it ends, and is waited for after that.
        self.stack.callback(program.kill)
        self.assertEqual(program.stdout.readline(), 'ready\n')
        return program

    def ask(self, *arguments):
        status, text = run('--runtime-dir', self.folder, '--json', *arguments)
        return status, json.loads(text)

    def test_everything_is_asked(self):
        program = self.start('fake', ANSWERS)
        status, state = self.ask('--check')
        self.assertEqual(status, REMOTE)
        found = state['programs'][0]
        self.assertEqual((found['prefix'], found['pid']), ('fake', program.pid))
        self.assertEqual(found['pools'],
                         [{'name': 'mb_pool_0', 'buffers': 100, 'bytes': {'1': 4096}}])
        guest = found['devices'][0]
        self.assertEqual((guest['name'], guest['home'], guest['policy']), ('vm0', 1, 'off'))
        self.assertEqual([ring['live'] for ring in guest['queues']], [1, 0])
        # queue 1 does not run, so it is nowhere wrong
        self.assertEqual(guest['remote'], ['device', 'queue 0'])

    def test_vids_in_several_arrays(self):
        self.serve('fake', {**ANSWERS, '/vhost/list': {'0': [5], '6': [6, 0]}})
        self.assertEqual([each['vid'] for each in self.ask()[1]['programs'][0]['devices']], [0])

    def test_guest_that_left_is_left_out(self):
        self.start('fake', ANSWERS)
        self.assertEqual(len(self.ask()[1]['programs'][0]['devices']), 1)

    def test_thread_that_polls(self):
        cpu = min(os.sched_getaffinity(0))
        self.start('fake', ANSWERS, '--poll', str(cpu))
        state = self.ask('--sample', '1')[1]
        self.assertEqual([thread['cpu'] for thread in state['programs'][0]['threads']], [cpu])
        self.assertEqual(state['programs'][0]['devices'][0]['cpus'], [cpu])

    def test_switch_that_tells_more(self):
        self.start('fake', {**ANSWERS, '/vhost_switch/list': ['vm0.1', 'net_tap0'],
            '/vhost_switch/info,net_tap0': {'kind': 'port', 'connected': 1},
            '/vhost_switch/info,vm0.1': {'kind': 'guest', 'connected': 1, 'vid': 0,
                                         'mbufs_node': 0, 'queue_lcore': [3, 1, -1]}})
        guest = self.ask()[1]['programs'][0]['devices'][0]
        self.assertEqual((guest['name'], guest['buffer_nodes'], guest['lcores']),
                         ('vm0.1', [0], [1, 3]))
        self.assertIn('buffers', guest['remote'])

    def test_open_vswitch_is_asked_under_the_name_that_it_has(self):
        program = self.start('rte', ANSWERS, name='/x/ovs-vswitchd-dpdk')
        control = os.path.join(self.folder, f'ovs-vswitchd-dpdk.{program.pid}.ctl')
        open(control, 'w').close()
        with open(os.path.join(self.folder, 'ovs-appctl'), 'w') as file:
            file.write(APPCTL.format(control=control))
        os.chmod(file.name, 0o755)
        done = subprocess.run(
            [sys.executable, TOOL, '--runtime-dir', self.folder, '--json'], check=True,
            stdout=subprocess.PIPE, text=True, env={
                **os.environ, 'OVS_RUNDIR': self.folder,
                'PATH': f'{self.folder}:{os.environ["PATH"]}'})
        found, = json.loads(done.stdout)['programs']
        self.assertEqual(found['program'], 'ovs-vswitchd-dpdk')
        self.assertEqual(found['devices'][0]['cpus'], [4, 7])

    def test_only_some_prefixes(self):
        self.start('one', ANSWERS)
        self.start('two', ANSWERS)
        self.assertEqual(len(self.ask()[1]['programs']), 2)
        self.assertEqual([each['prefix'] for each in self.ask('-f', 'two')[1]['programs']],
                         ['two'])

    def serve(self, folder, answers, name='dpdk_telemetry.v2'):
        """As start(), in this process."""
        os.makedirs(os.path.join(self.folder, folder), exist_ok=True)
        listener = fake_program.listen(os.path.join(self.folder, folder, name))
        thread = threading.Thread(target=fake_program.accept, args=(listener, answers))
        self.stack.callback(thread.join)
        self.stack.callback(listener.close)
        self.stack.callback(listener.shutdown, socket.SHUT_RDWR)
        thread.start()

    def test_odd_answers(self):
        """Of whatever kind, they neither end the tool nor hide other programs."""
        switch = {'/vhost_switch/list': ['vm0'], '/vhost_switch/info,vm0': {
            'kind': 'guest', 'connected': 1, 'vid': 0, 'mbufs_node': 0, 'queue_lcore': [1]}}
        good = {**ANSWERS, **switch}
        self.serve('good', good)
        for number, (command, odd) in enumerate(odd_answers(good)):
            self.serve(str(number), {**good, command: odd})
        state = self.ask('--sample', '0.01')[1]
        self.assertIn('good', [each['prefix'] for each in state['programs']])
        self.assertTrue(run(state=state)[1].replace('\n', '').isprintable())
        drawn(state=state)

    def test_several_processes_of_one_prefix(self):
        """EAL numbers the sockets of those that share no memory."""
        self.serve('rte', ANSWERS)
        self.serve('rte', {'/ethdev/list': [0]}, 'dpdk_telemetry.v2:1')
        self.serve('rte', ANSWERS, 'dpdk_telemetry.v2:2')
        self.assertEqual([each['prefix'] for each in self.ask()[1]['programs']],
                         ['rte', 'rte'])

    def test_pid_is_the_kernels(self):
        """A program in a container knows another one."""
        self.serve('contained', {**ANSWERS, 'banner': {'version': 'DPDK', 'pid': 1}})
        self.assertEqual(self.ask()[1]['programs'][0]['pid'], os.getpid())

    def test_reader_that_has_enough(self):
        self.serve('fake', ANSWERS)
        with subprocess.Popen([sys.executable, TOOL, '--runtime-dir', self.folder, '--sample',
                               '0.01', '--watch', '0.01'], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as watching:
            watching.stdout.readline()
            watching.stdout.close()
            self.assertEqual((watching.wait(60), watching.stderr.read()), (0, b''))

    def test_program_that_goes_and_comes_while_watched(self):
        program = self.start('fake', ANSWERS)
        with subprocess.Popen([sys.executable, TOOL, '--runtime-dir', self.folder, '--sample',
                               '0.05', '--watch', '0.1'], stdout=subprocess.PIPE,
                              text=True) as watching:
            self.wait_line(watching, 'vm0 ')
            program.kill()
            program.wait()
            self.wait_line(watching, 'no program')
            self.start('another', ANSWERS)
            self.wait_line(watching, 'vm0 ')
            watching.send_signal(signal.SIGINT)
            watching.stdout.read()
        self.assertEqual(watching.returncode, 0)

    def wait_line(self, program, start):
        for line in program.stdout:
            if line.startswith(start):
                return
        self.fail(f'it ended without saying "{start}"')

    def test_programs_that_do_not_answer(self):
        """One without this library, one that leaves in the middle, one that was
        killed and left its socket behind."""
        self.start('other', {'/ethdev/list': [0]})
        self.start('leaves', {**ANSWERS, '/vhost/numa,0': 'leave'})
        dead = self.start('dead', ANSWERS)
        dead.kill()
        dead.wait()
        state = self.ask()[1]
        self.assertEqual(state['programs'], [])
        self.assertEqual([(each['prefix'], each['library']) for each in state['others']],
                         [('other', '')])

    def test_program_that_keeps_silent(self):
        """It listens and says nothing; that is not as good as no program."""
        self.serve('fake', ANSWERS)
        os.mkdir(os.path.join(self.folder, 'stuck'))
        self.stack.enter_context(fake_program.listen(
            os.path.join(self.folder, 'stuck', 'dpdk_telemetry.v2')))
        state = self.ask('--timeout', '0.5')[1]
        self.assertEqual([each['prefix'] for each in state['programs']], ['fake'])
        self.assertEqual([(each['prefix'], each['pid'], each['silent_seconds'])
                          for each in state['others']], [('stuck', os.getpid(), 0.5)])
        said = f'(pid {os.getpid()}, prefix stuck) has not answered within 0.5 s'
        self.assertIn(said, run(state=state)[1])
        status, text = run('--check', state=state)
        self.assertEqual(status, REMOTE)
        self.assertIn(said, text)
        state['programs'][0]['devices'] = []
        self.assertEqual(run('--check', state=state)[0], UNKNOWN)
        state['programs'] = []
        self.assertEqual(run('--check', '--allow-none', state=state)[0], UNKNOWN)

    def test_library_of_a_program(self):
        about = {'name': 'vhost-numa', 'version': '22.11.0', 'abi': 23}
        self.serve('fake', {**ANSWERS, '/vhost/about': about})
        state = self.ask()[1]
        self.assertEqual(state['programs'][0]['library'], about)
        self.assertIn(', vhost-numa 22.11.0)', run(state=state)[1])

    def test_answers_with_a_reason(self):
        """Of a guest that has gone meanwhile there is no answer, but why."""
        gone = {'error': 'there is no device 0: /vhost/list has all'}
        self.serve('fake', {**ANSWERS, '/vhost/info,0': gone, '/vhost/numa,0': gone})
        self.assertEqual(self.ask()[1]['programs'][0]['devices'], [])


if __name__ == '__main__':
    sys.exit(recorded.main(sys.modules[__name__]))

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Tests of dpdk-vhost-numa.py --advise: for each thing that is remote, what to type.

That it helps is tried by devtools/advice-follow, in the emulated machine.
"""

import copy
import json
import os
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

import recorded
from recorded import RECORDED, guest_of, run

from vhost_numa import advice, command  # after recorded, which finds them


class Advised(unittest.TestCase):
    """vhost1 of a recorded Open vSwitch, whose memory is on node 1."""

    def setUp(self):
        self.state = copy.deepcopy(RECORDED)
        self.switch = self.state['programs'][0]
        self.guest = guest_of(self.state, 'vhost1')

    def become(self, program):
        self.switch['program'] = program

    def judged(self):
        with tempfile.NamedTemporaryFile('w', suffix='.json') as file:
            json.dump(self.state, file)
            file.flush()
            return command.read_state(file.name)

    def advised(self):
        """[(what, commands)], the first first."""
        return [(each.what, each.commands) for each in advice.advise(self.judged())]

    def test_nothing_remote_nothing_to_type(self):
        self.assertEqual(self.advised(), [])
        self.assertEqual(run('--advise', state=self.state)[1],
                         'nothing to advise: 2 guests, 256 MiB, nothing remote\n')

    def test_policy_that_pins(self):
        self.guest.update(node=0, policy='pin', policy_node=0)
        for ring in self.guest['queues']:
            ring['node'] = 0
        path, prefix = self.guest['path'], self.switch['prefix']
        self.assertEqual(self.advised(), [(['device', 'queues'], [
            f'echo /vhost/numa_policy,{path},follow | dpdk-telemetry.py -f {prefix}'])])

    def test_pinned_with_its_buffers(self):
        """The policy comes first: a refresh would tell the old node again."""
        self.guest.update(node=0, policy='pin', policy_node=0, app_node=0)
        self.assertEqual([what for what, _ in self.advised()], [['device', 'buffers']])

    def test_guest_that_has_moved(self):
        self.guest['node'] = 0
        self.assertEqual(self.advised(), [(['device'], [
            f'echo /vhost/numa_refresh,1 | dpdk-telemetry.py -f {self.switch["prefix"]}'])])

    def test_node_that_was_full(self):
        self.guest.update(node=0, refusals=1, last_refusal='no memory on node 1 for the device')
        node = self.state['machine']['nodes'][1]
        node['hugepages'] = {'2048': {'total': 10, 'free': 6}}
        (_, (pages, refresh)), = self.advised()
        self.assertEqual(pages, 'echo 260 > /sys/devices/system/node/node1/hugepages/'
                                'hugepages-2048kB/nr_hugepages')
        self.assertIn('/vhost/numa_refresh,1', refresh)

    def test_core_of_open_vswitch_on_the_node(self):
        self.guest['cpus'] = [0]
        self.assertEqual(self.advised(), [(['core'], [
            'ovs-vsctl set Interface vhost1 other_config:pmd-rxq-affinity=0:4'])])

    def test_no_core_of_open_vswitch_on_the_node(self):
        self.guest['cpus'] = [0]
        self.switch['threads'] = [each for each in self.switch['threads'] if each['cpu'] == 0]
        self.assertEqual(self.advised(), [(['core'], [
            'ovs-vsctl set Open_vSwitch . other_config:pmd-cpu-mask=0x21',
            'ovs-vsctl set Interface vhost1 other_config:pmd-rxq-affinity=0:5'])])

    def test_core_of_each_queue(self):
        self.guest['cpus'] = [0]
        first = self.guest['queues'][0]
        self.guest['queues'] = [{**first, 'queue': number} for number in range(4)]
        (_, commands), = self.advised()
        self.assertTrue(commands[-1].endswith('pmd-rxq-affinity=0:4,1:4'), commands)

    def test_core_of_dpdk_vhost(self):
        self.become('dpdk-vhost')
        self.guest.update(cpus=[0], lcores=[1])
        self.switch.update(lcores={'1': 0, '2': 1}, threads=[
            {'thread': 1, 'name': 'rte-worker-1', 'cpu': 0, 'node': 0, 'busy': 1}])
        self.assertEqual(self.advised(), [(['core'], [
            'echo /vhost_switch/rxq_affinity,vhost1,0,2 | dpdk-telemetry.py -f '
            f'{self.switch["prefix"]}'])])

    def test_no_core_of_dpdk_vhost_on_the_node(self):
        self.become('dpdk-vhost')
        self.guest.update(cpus=[0], lcores=[1])
        self.switch['lcores'] = {'1': 0}
        (_, (words,)), = self.advised()
        self.assertIn('# restart dpdk-vhost with an lcore on CPU 5', words)

    def test_core_of_testpmd(self):
        self.become('dpdk-testpmd')
        self.guest['cpus'] = [0]
        (_, (words,)), = self.advised()
        self.assertIn('--lcores', words)
        self.assertIn('CPU 4, of node 1', words)

    def test_buffers_of_open_vswitch(self):
        """No DPDK memory there at all: it has to be restarted with some."""
        del self.switch['pools'][1]
        self.guest['app_node'] = 0
        (_, commands), = self.advised()
        self.assertEqual(commands[-2:], [
            'ovs-vsctl set Open_vSwitch . other_config:dpdk-socket-mem=512,512',
            'systemctl restart openvswitch-switch'])

    def test_buffers_of_a_program_that_was_told_another_node(self):
        self.guest['app_node'] = 0
        self.switch['heaps'] = {'0': 1 << 28, '1': 1 << 28}
        self.assertEqual([(what, 'numa_refresh' in commands[0])
                          for what, commands in self.advised()], [(['buffers'], True)])

    def test_buffers_of_testpmd(self):
        self.become('dpdk-testpmd')
        del self.switch['pools'][1]
        (_, commands), = self.advised()
        self.assertIn('--socket-mem 512,512', commands[-1])
        self.assertIn('--port-numa-config="(PORT,1)"', commands[-1])

    def test_the_other_way_round(self):
        self.guest['cpus'] = [0]
        text = run('--advise', state=self.state)[1]
        self.assertIn('or bring the guest to its switch', text)
        self.assertIn('host-nodes=0', text)
        self.assertIn('numatune', text)

    def test_guest_of_libvirt(self):
        self.guest['cpus'] = [0]
        words = ['/usr/bin/qemu-system-x86_64', '-name', 'guest=vm 1,debug-threads=on']
        with unittest.mock.patch.object(advice, 'process_of', return_value=(77, words)):
            (each,) = advice.advise(self.judged())
        self.assertEqual(each.otherwise[0], "virsh numatune 'vm 1' --nodeset 0 --live --config")
        self.assertIn("vcpupin 'vm 1' $vcpu 0-3", each.otherwise[1])
        self.assertEqual(each.otherwise[2], 'migratepages 77 1 0')

    def test_process_that_has_the_socket(self):
        path = f'/nowhere/{os.getpid()}'
        with subprocess.Popen(['qemu-of-a-test', '-c', 'echo; read line', path],
                              executable='/bin/sh', stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as process:
            process.stdout.readline()  # has its words in /proc by now
            found = advice.process_of(path, 0)
            process.stdin.close()
        self.assertEqual(found[0], process.pid)

    def test_the_greatest_worth_comes_first(self):
        self.guest.update(cpus=[0], rate={'packets': 1000, 'bytes': 64000})
        other = guest_of(self.state, 'vhost0')
        other.update(node=1, rate={'packets': 10 ** 7, 'bytes': 64 * 10 ** 7})
        found = advice.advise(self.judged())
        self.assertEqual([each.guest['name'] for each in found], ['vhost0', 'vhost1'])
        self.assertEqual([each.saves for each in found], [10 ** 7, 1000 * (4 + 1)])

    def test_runtime_folder_that_is_not_the_usual_one(self):
        self.guest['node'] = 0
        self.switch['socket'] = '/tmp/a b/dpdk/x/dpdk_telemetry.v2'
        (_, (words,)), = self.advised()
        self.assertIn("| RUNTIME_DIRECTORY='/tmp/a b' dpdk-telemetry.py", words)

    def test_names_that_a_shell_would_run(self):
        self.guest.update(node=0, policy='off', path='/tmp/$(reboot)', name='$(reboot)')
        (_, (words,)), = self.advised()
        self.assertIn("echo '/vhost/numa_policy,/tmp/$(reboot),follow' |", words)

    def test_memory_that_nobody_knows(self):
        for region in self.guest['regions']:
            region['bytes'] = {}
        self.guest['policy'] = 'off'
        text = run('--advise', state=self.state)[1]
        self.assertIn('it is not known where its memory is', text)
        self.assertIn(',follow', text)


if __name__ == '__main__':
    sys.exit(recorded.main(sys.modules[__name__]))

# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Who polls: threads that keep a CPU busy, and what switches tell of whom these serve."""

import collections
import glob
import os
import re
import subprocess
import time

from .machine import UNKNOWN, parse_list, read

SAMPLE_SECONDS = 0.3    # between two looks at the threads
# Share of a CPU that makes a thread with a CPU for itself a polling one: Open
# vSwitch's may sleep, lcores do when there is nothing to do, others are guesses.
# The workers' names are those of three ages of EAL.
BUSY = (('pmd-c', 0), ('rte-worker-', 0.05), ('lcore-worker-', 0.05), ('dpdk-worker', 0.05), ('', 0.5))


def cpu_times(pid):
    """{thread: (name, seconds on a CPU)}"""
    ticks, found = os.sysconf('SC_CLK_TCK'), {}
    for path in glob.glob(f'/proc/{pid}/task/*/stat'):
        start, _, rest = read(path).rpartition(') ')
        fields = rest.split()
        if fields:
            found[int(path.split('/')[4])] = (start.partition('(')[2],
                                              (int(fields[11]) + int(fields[12])) / ticks)
    return found


def add_threads(found, seconds, nodes):
    """To each program: its threads that have one CPU for themselves and use it."""
    before = {each['pid']: cpu_times(each['pid']) for each in found}
    start = time.monotonic()
    if found:
        time.sleep(seconds)
    node_of = {cpu['cpu']: each['node'] for each in nodes for cpu in each['cpus']}
    for each in found:
        passed = time.monotonic() - start
        each['threads'] = []
        for thread, (name, used) in sorted(cpu_times(each['pid']).items()):
            cpus = parse_list(''.join(re.findall(r'Cpus_allowed_list:\s*(\S+)', read(
                f'/proc/{each["pid"]}/task/{thread}/status'))))
            busy = (used - before[each['pid']].get(thread, (name, used))[1]) / passed
            enough = next(share for start_of, share in BUSY if name.startswith(start_of))
            if len(cpus) == 1 and busy >= enough:
                each['threads'].append({
                    'thread': thread, 'name': name, 'cpu': cpus[0],
                    'node': node_of.get(cpus[0], UNKNOWN), 'busy': round(min(busy, 1), 2)})


def add_pollers(found):
    """To each device: the CPUs that poll it, if anybody can tell."""
    for each in found:
        asked = pollers_of_switch(each)
        for guest in each['devices']:
            cpus = asked.get(guest['name'])
            if 'lcores' in guest:
                cpus = cpus_of_lcores(each, guest['lcores'])
            elif cpus is None and len(each['threads']) == 1:
                cpus = [each['threads'][0]['cpu']]
            if cpus:
                guest['cpus'] = cpus


def cpus_of_lcores(each, lcores):
    """EAL names an lcore's thread after the lcore's number."""
    return [thread['cpu'] for thread in each['threads']
            if re.fullmatch(r'(rte|lcore)-worker-(\d+)', thread['name']) and
            int(thread['name'].rpartition('-')[2]) in lcores]


def is_switch(each):
    return 'vswitchd' in each['program']


def pollers_of_switch(each):
    """{port or socket name: [cpu]} of an Open vSwitch."""
    if not is_switch(each):
        return {}
    command = read(f'/proc/{each["pid"]}/cmdline')
    control = re.search(r'--unixctl=([^\0]+)', command)
    # Its name begins with the program's, of which there are several.
    target = [control[1]] if control else glob.glob(
        f'{os.environ.get("OVS_RUNDIR", "/var/run/openvswitch")}/*.{each["pid"]}.ctl')
    if not target:
        return {}
    try:
        answer = subprocess.run(['ovs-appctl', '-t', target[0], 'dpif-netdev/pmd-rxq-show'],
                                capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return {}
    polled, cpu = collections.defaultdict(list), None
    for line in answer.stdout.splitlines():
        if match := re.match(r'pmd thread numa_id \d+ core_id (\d+)', line):
            cpu = int(match[1])
        elif (match := re.match(r'\s+port: (\S+)\s+queue-id:\s+\d+ ', line)) and cpu is not None:
            polled[match[1]].append(cpu)
    return {name: sorted(set(cpus)) for name, cpus in polled.items()}

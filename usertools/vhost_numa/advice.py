# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""What to type so that nothing is remote any more, on this machine.

Each thing that model.py calls remote has a remedy, which depends on the program: Open
vSwitch takes cores and memory while it runs, or after a restart, dpdk-vhost over
telemetry, and of others only the options can be named that they shall have.  What is
worth most comes first: packets per second times the lines of cache that cross nodes
for each.  Other ways, such as to bring the guest to its switch, come last.

Commands are for a shell, as root.  Whatever comes out of a program is quoted.
"""

import collections
import os
import re
import shlex

from .machine import UNKNOWN, read
from .model import all_guests, is_remote
from .pollers import is_switch
from .text import count, in_units, on_nodes, others, silent, without_guests

# Lines of 64 bytes that cross for a packet when this is remote, and whether its bytes do, too.
LINES = {'device': (1, False), 'queues': (3, False), 'buffers': (2, True), 'core': (4, True),
         'application': (0, False)}
SOCKET_MEM = 512        # MiB of DPDK memory to begin with on a node that has none
PACKET = 512            # bytes of a packet, where they are not counted

Advice = collections.namedtuple('Advice', 'program guest what why commands saves otherwise')


# --- The words of a command ------------------------------------------------

def telemetry(each, command):
    """Have DPDK's own tool say it."""
    runtime = os.path.dirname(os.path.dirname(os.path.dirname(each.get('socket', ''))))
    where = '' if runtime in ('', '/var/run', '/run') else \
        f'RUNTIME_DIRECTORY={shlex.quote(runtime)} '
    return (f'echo {shlex.quote(command)} | {where}dpdk-telemetry.py '
            f'-f {shlex.quote(each["prefix"])}')


def refresh(each, guest):
    return telemetry(each, f'/vhost/numa_refresh,{guest["vid"]}')


def reserve_hugepages(state, number):
    """Hugepages on a node that has too few; none if there are enough."""
    node = next(node for node in state['machine']['nodes'] if node['node'] == number)
    for size, pages in sorted(node['hugepages'].items(), key=lambda item: int(item[0])):
        need = -(-SOCKET_MEM * 1024 // int(size))
        if pages['free'] >= need:
            return []
    size, pages = min(node['hugepages'].items(), key=lambda item: int(item[0]),
                      default=(None, None))
    if size is None:
        return []
    need = -(-SOCKET_MEM * 1024 // int(size))
    return [f'echo {pages["total"] + need - pages["free"]} > /sys/devices/system/node/node'
            f'{number}/hugepages/hugepages-{size}kB/nr_hugepages']


def socket_mem(state, each, number):
    """DPDK memory for each node, as EAL wants it: what is there, and some on that node."""
    have = collections.Counter()
    for bytes_of in [each['heaps']] if each.get('heaps') else [
            pool['bytes'] for pool in each['pools']]:
        have.update({int(at): size for at, size in bytes_of.items() if int(at) >= 0})
    have[number] = max(have[number], 1)
    highest = max(node['node'] for node in state['machine']['nodes'])
    return ','.join(str(max(SOCKET_MEM, -(-have[at] // (1 << 20))) if have[at] else 0)
                    for at in range(highest + 1))


def mask_of(cpus):
    return hex(sum(1 << cpu for cpu in set(cpus)))


# --- CPUs ------------------------------------------------------------------

def polled_cpus(state):
    return {thread['cpu'] for each in state['programs'] for thread in each.get('threads', [])}


def free_cpu(state, number):
    """A CPU of a node that nobody polls on, nor on its core; not the node's first if others
    are there, since the kernel likes that one.  None if all are taken."""
    node = next(node for node in state['machine']['nodes'] if node['node'] == number)
    taken = polled_cpus(state)
    cores = {cpu.get('core', cpu['cpu']) for cpu in node['cpus'] if cpu['cpu'] in taken}
    free = [cpu['cpu'] for cpu in node['cpus'] if cpu.get('core', cpu['cpu']) not in cores] or \
        [cpu['cpu'] for cpu in node['cpus'] if cpu['cpu'] not in taken]
    return next((cpu for cpu in free if cpu != node['cpus'][0]['cpu']), *free[:1] or [None])


def own_cpus(each, number):
    """CPUs of a node on which a program polls."""
    return [thread['cpu'] for thread in each.get('threads', []) if thread['node'] == number]


def pmd_cpus(each):
    return [thread['cpu'] for thread in each.get('threads', [])
            if not is_switch(each) or thread['name'].startswith('pmd-c')]


# --- Remedies: (why, commands) ---------------------------------------------

def of_structures(state, each, guest):
    """Device and queues, which the library moves by itself unless it is kept from it."""
    home, name = guest['home'], guest['path']
    if guest.get('policy', 'follow') != 'follow':
        pinned = f'pins it to node {guest.get("policy_node")}' if guest['policy'] == 'pin' else \
            'is not to look'
        return f'the policy {pinned}, the guest is on node {home}', \
            [telemetry(each, f'/vhost/numa_policy,{name},follow')]
    if guest.get('last_refusal'):
        return f'node {home} had no memory: {guest["last_refusal"]}', \
            [*reserve_hugepages(state, home), refresh(each, guest)]
    return f'the guest has moved to node {home} since the last look', [refresh(each, guest)]


def has_memory(each, number):
    """Whether a program has DPDK memory on a node, so that it can have buffers there."""
    return each.get('heaps', {}).get(str(number), 0) > 0 or \
        any(str(number) in pool['bytes'] for pool in each['pools'])


def tell_application(state, each, guest):
    """A policy that comes into force tells it as well, and before that nothing would."""
    if guest.get('policy', 'follow') != 'follow':
        return of_structures(state, each, guest)[1]
    return [refresh(each, guest)]


def of_buffers(state, each, guest):
    home = guest['home']
    if is_remote(guest.get('app_node', UNKNOWN), home) and has_memory(each, home):
        return f'the program was told node {guest["app_node"]}, and has memory on node {home}', \
            tell_application(state, each, guest)
    why = f'the program has no buffers on node {home}'
    memory = reserve_hugepages(state, home)
    if is_switch(each):
        return why, [*memory, 'ovs-vsctl set Open_vSwitch . other_config:dpdk-socket-mem='
                     f'{socket_mem(state, each, home)}', 'systemctl restart openvswitch-switch']
    options = f'--socket-mem {socket_mem(state, each, home)}'
    if 'testpmd' in each['program']:
        options += f', and behind its -- --port-numa-config="(PORT,{home})"'
    return why, [*memory, f'# restart {each["program"]} with EAL\'s {options}']


def of_core(state, each, guest):
    home = guest['home']
    why = f'it is polled on node {on_nodes(guest["core_nodes"])}, its memory is on node {home}'
    own, free = own_cpus(each, home), free_cpu(state, home)
    lcores = [int(lcore) for lcore, at in each.get('lcores', {}).items() if at == home]
    if lcores:
        return why, of_core_in_switch(each, guest, lcores)
    if not own and free is None:
        return f'{why}; every CPU of node {home} is taken', []
    if is_switch(each):
        return why, of_core_in_ovs(each, guest, own, free)
    if each.get('lcores'):
        return why, [f'# restart {each["program"]} with an lcore on CPU {free} in --lcores, and '
                     'in its --pmd-cpu-mask if there is one']
    cpus = [*own, *([free] if not own else [])]
    return why, [f'# restart {each["program"]} with EAL\'s --lcores so that it polls on CPU '
                 f'{cpus[0]}, of node {home}']


def of_core_in_ovs(each, guest, own, free):
    commands = []
    if not own:
        commands.append('ovs-vsctl set Open_vSwitch . other_config:pmd-cpu-mask='
                        f'{mask_of([*pmd_cpus(each), free])}')
    cpus = own or [free]
    from_guest = [ring['queue'] // 2 for ring in guest['queues'] if ring['queue'] % 2]
    affinity = ','.join(f'{queue}:{cpus[queue % len(cpus)]}' for queue in from_guest or [0])
    return [*commands, f'ovs-vsctl set Interface {shlex.quote(guest["name"])} '
            f'other_config:pmd-rxq-affinity={shlex.quote(affinity)}']


def of_core_in_switch(each, guest, lcores):
    """dpdk-vhost takes the nearest lcore that polls, unless it was told another."""
    queues = [ring['queue'] // 2 for ring in guest['queues'] if ring['queue'] % 2 and ring['live']]
    return [telemetry(each, f'/vhost_switch/rxq_affinity,{guest["name"]},{queue},'
                      f'{lcores[queue % len(lcores)]}') for queue in queues]


def of_application(state, each, guest):
    return f'the program was told node {guest["app_node"]}, the guest is on node ' \
           f'{guest["home"]}', tell_application(state, each, guest)


REMEDIES = {'device': of_structures, 'queues': of_structures, 'buffers': of_buffers,
            'core': of_core, 'application': of_application}


# --- The other way round: the guest moves ----------------------------------

def process_of(path, but):
    """(pid, command line) of the process that names a socket in its arguments, such as QEMU."""
    for folder in sorted(os.listdir('/proc')):
        if folder.isdigit() and int(folder) != but:
            words = read(f'/proc/{folder}/cmdline').split('\0')
            if 'qemu' in words[0] and any(path in word for word in words):
                return int(folder), words
    return None, []


def bring_guest(state, each, guest):
    """Commands that bring a guest's memory and CPUs to where its switch polls."""
    there = next((at for at in guest['core_nodes'] if at not in (UNKNOWN, guest['home'])), None)
    if there is None:
        return []
    node = next(node for node in state['machine']['nodes'] if node['node'] == there)
    if sum(map(int, guest['memory'].values())) > node['free']:
        return []
    pid, words = process_of(guest['path'], each['pid'])
    domain = next((found[1] for found in (re.match(r'guest=([^,]+)', word) for word in words)
                   if found), None)
    first, last = min((cpu['cpu'] for cpu in node['cpus']), default=0), \
        max((cpu['cpu'] for cpu in node['cpus']), default=0)
    commands = []
    if domain:
        name = shlex.quote(domain)
        commands += [f'virsh numatune {name} --nodeset {there} --live --config',
                     f'for vcpu in $(virsh vcpuinfo {name} | sed -n "s/^VCPU: *//p"); do virsh '
                     f'vcpupin {name} $vcpu {first}-{last} --live --config; done']
    if pid:
        commands += [f'migratepages {pid} {guest["home"]} {there}', refresh(each, guest)]
    return commands or [
        f'# start QEMU with -object memory-backend-memfd,id=mem,size=SIZE,share=on,prealloc=on,'
        f'policy=bind,host-nodes={there}, pinned to CPUs {first}-{last}; libvirt: '
        f'<numatune><memory mode="strict" nodeset="{there}"/></numatune> and <vcpupin>']


# --- What is worth what ----------------------------------------------------

def kinds(guest):
    """Of what is remote, the kinds: all queues are one."""
    return list(dict.fromkeys('queues' if word.startswith('queue') else word
                              for word in guest['remote']))


def lines_saved(guest, kind):
    """Lines per second that would not cross any more; None if no rate is known."""
    rate = guest.get('rate')
    if not rate or not rate['packets']:
        return None
    fixed, with_bytes = LINES[kind]
    size = rate['bytes'] / rate['packets'] or PACKET
    return rate['packets'] * (fixed + (size / 64 if with_bytes else 0))


def advise(state):
    """A list of Advice, of the greatest worth first."""
    found = []
    for each, guest in all_guests(state):
        done = {}
        for kind in kinds(guest):
            why, commands = REMEDIES[kind](state, each, guest)
            key = tuple(commands)
            if key in done:     # one command for both
                before = found[done[key]]
                saves = [value for value in (before.saves, lines_saved(guest, kind))
                         if value is not None]
                found[done[key]] = before._replace(what=before.what + [kind],
                                                   saves=sum(saves) if saves else None)
                continue
            done[key] = len(found)
            found.append(Advice(each, guest, [kind], why, commands, lines_saved(guest, kind), []))
        if 'core' in kinds(guest):
            place = max(place for place, advice in enumerate(found)
                        if advice.guest is guest and 'core' in advice.what)
            found[place] = found[place]._replace(otherwise=bring_guest(state, each, guest))
    found.sort(key=lambda advice: (-(advice.saves or 0), -max(
        LINES[kind][0] for kind in advice.what)))
    return found


def as_text(state):
    """For people: numbered, the best first."""
    found = advise(state)
    lines = []
    for number, advice in enumerate(found, 1):
        worth = f', about {advice.saves:.3g} lines per second' if advice.saves else ''
        lines += [f'{number}. {advice.guest["name"]} of {advice.program["program"]} (pid '
                  f'{advice.program["pid"]}): {", ".join(advice.what)} remote{worth}',
                  f'   {advice.why}']
        lines += [f'     {command}' for command in advice.commands] or ['     (nothing to type)']
        if advice.otherwise:
            lines += ['   or bring the guest to its switch:']
            lines += [f'     {command}' for command in advice.otherwise]
    lines += of_unknown(state)
    if not lines:
        lines = ['nothing to advise: ' + '; '.join(
            without_guests(state) or [nothing(state), *others(silent(state))])]
    return '\n'.join(lines)


def as_data(state):
    """For programs."""
    return [{'program': each.program['program'], 'pid': each.program['pid'],
             'prefix': each.program['prefix'], 'guest': each.guest['name'], 'what': each.what,
             'why': each.why, 'commands': each.commands, 'lines_per_second': each.saves,
             'otherwise': each.otherwise} for each in advise(state)]


def of_unknown(state):
    lines = []
    for each, guest in all_guests(state):
        if guest['running'] and guest['home'] == UNKNOWN:
            lines.append(f'{guest["name"]} of {each["program"]} (pid {each["pid"]}): it is not '
                         'known where its memory is')
            if guest.get('policy') == 'off':
                lines.append('     ' + telemetry(
                    each, f'/vhost/numa_policy,{guest["path"]},follow'))
            else:
                lines.append('     # start QEMU with prealloc=on, or policy=bind,host-nodes=NODE, '
                             'in its memory backend')
    return lines


def nothing(state):
    guests = [guest for _, guest in all_guests(state)]
    size = sum(int(size) for guest in guests for size in guest['memory'].values())
    return f'{count(len(guests), "guest")}, {in_units(size)}, nothing remote'

# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A guest whose memory and CPUs are bound to one node.

It has no disk and boots iPXE, which has a real virtio-net driver, as if it were
a kernel.  A script opens the network card for good and sends requests to the
other guest again and again.  The other guest answers only address resolution,
but that is enough: a guest that sends to the other's address has received its
answer, so a packet counted in each direction proves both directions of both.
"""

import os

from waiting import Program

IPXE = '/usr/lib/ipxe/ipxe.lkrn'
MEMORY = 128            # MiB; with 64 iPXE overwrites its script
HUGEPAGES = '/dev/hugepages'
SCRIPT = """\
#!ipxe
set net0/ip 10.77.0.{own}
set net0/netmask 255.255.255.0
ifopen net0
:again
imgfetch --timeout 3000 tftp://10.77.0.{peer}/nothing ||
goto again
"""


def mac_of(number):
    return f'52:54:00:00:00:{number + 1:02x}'


def start_guest(number, port, node, socket, qemu_listens, logs):
    """Start guest 0 or 1 on a node, connected to a port of the switch.

    When QEMU listens it waits for the switch before the guest starts.
    """
    # The node's first CPU belongs to the switch: it polls there.
    cpus = ','.join(map(str, node.cpus[1:] or node.cpus))
    listen = ',server=on,wait=on' if qemu_listens else ''
    script = os.path.join(logs, f'guest-{port}.ipxe')
    with open(script, 'w') as file:
        file.write(SCRIPT.format(own=number + 1, peer=2 - number))
    return Program(f'guest-{port}', [
        'numactl', f'--membind={node.number}', f'--physcpubind={cpus}',
        'qemu-system-x86_64', '-nodefaults', '-nographic', '-accel', 'tcg',
        '-machine', 'q35,memory-backend=mem', '-m', f'{MEMORY}M',
        '-object', f'memory-backend-file,id=mem,size={MEMORY}M,'
        f'mem-path={HUGEPAGES},share=on,prealloc=on',
        '-chardev', f'socket,id=port,path={socket}{listen}',
        '-netdev', 'vhost-user,id=net,chardev=port',
        # QEMU 7.2 with TCG fails with vhost-user and MSI-X: no vectors.
        '-device', 'virtio-net-pci,netdev=net,vectors=0,romfile=,'
        f'mac={mac_of(number)}',
        '-kernel', IPXE, '-initrd', script, '-serial', 'stdio'],
        os.path.join(logs, f'guest-{port}.log'))

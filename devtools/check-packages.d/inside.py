#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Install the packages of a folder on a Debian that may be spoilt, use them, purge them.

usage: inside.py FOLDER [FOLDER OF ANOTHER RELEASE]

As root; devtools/check-packages calls it.  Open vSwitch is started by its own script, two
testpmd are its guests.
"""

import contextlib
import glob
import os
import pathlib
import re
import shutil
import subprocess
import sys
import urllib.request

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TREE / 'devtools'))
import install_checks as machine
import vhost_library

INIT = '/etc/init.d/openvswitch-switch'
PID = '/run/openvswitch/ovs-vswitchd.pid'
PORTS = ('guest0', 'guest1')
EXPORTER = '127.0.0.1:9876'
# No hugepages; one of them has to be asked where its guests are.
OVS_EAL = '--no-huge --legacy-mem -m 768 --no-pci'
# What a package manager writes down, what a switch does, what nobody keeps.
VOLATILE = {'/var/lib/dpkg', '/var/lib/apt', '/var/cache', '/var/log', '/var/tmp', '/tmp', '/run',
            '/root', '/etc/openvswitch', '/var/lib/openvswitch', '/var/lib/systemd',
            str(TREE)}


class Packages:
    """The packages of a folder, by name without their ABI."""

    def __init__(self, folder):
        self.files = sorted(path for path in glob.glob(f'{folder}/*.deb') if '-dbgsym_' not in path)
        self.names = [os.path.basename(path).partition('_')[0] for path in self.files]

    def install(self):
        return machine.run('apt-get', '-q', '-y', '--no-install-recommends', 'install', *self.files)

    def purge(self):
        return machine.run('apt-get', '-q', '-y', 'purge', '--autoremove', *self.names)


class Switch:
    """Open vSwitch with DPDK, started and stopped by its own script."""

    @staticmethod
    def start():
        """Its network devices are in a namespace of their own."""
        return machine.run('unshare', '--net', INIT, 'start', stdin=subprocess.DEVNULL)

    @staticmethod
    def stop():
        machine.must(INIT, 'stop')

    @staticmethod
    def pid():
        return int(pathlib.Path(PID).read_text())

    @staticmethod
    def configure():
        """With a bridge and two ports to which the guests listen; it stays configured."""
        machine.must('update-alternatives', '--set', 'ovs-vswitchd', machine.OVS)
        machine.must('unshare', '--net', '/usr/share/openvswitch/scripts/ovs-ctl', '--system-id=random',
                     '--no-ovs-vswitchd', 'start')
        machine.must('ovs-vsctl', '--no-wait', 'set', 'Open_vSwitch', '.',
                     'other_config:dpdk-init=true', f'other_config:dpdk-extra="{OVS_EAL}"',
                     'other_config:per-port-memory=true', 'other_config:dpdk-lcore-mask=0x1',
                     'other_config:pmd-cpu-mask=0x1', 'other_config:pmd-maxsleep=500')
        bridge = ['--no-wait', 'add-br', 'br0', '--', 'set', 'bridge', 'br0', 'datapath_type=netdev']
        for port in PORTS:
            bridge += ['--', 'add-port', 'br0', port, '--', 'set', 'Interface', port,
                       'type=dpdkvhostuserclient', f'options:vhost-server-path=/tmp/{port}']
        machine.must('ovs-vsctl', *bridge)
        Switch.stop()


class Guest:
    """A testpmd whose network card is virtio-user; one sends, the other one counts."""

    def __init__(self, port, mode):
        self.log = f'/tmp/{port}.log'
        if os.path.exists(f'/tmp/{port}'):
            os.unlink(f'/tmp/{port}')
        with open(self.log, 'w') as file:
            self._process = subprocess.Popen(
                [machine.TESTPMD, '--lcores', '0@0,1@0', *machine.EAL, '--vdev',
                 f'net_virtio_user0,path=/tmp/{port},server=1', '--', f'--forward-mode={mode}',
                 '--auto-start', '--total-num-mbufs=2048', '--no-flush-rx'],
                stdin=subprocess.PIPE, stdout=file, stderr=subprocess.STDOUT, text=True)

    def end(self):
        """End it; how many packets it has received."""
        self._process.communicate('\n', timeout=60)
        counted = re.findall(r'RX-packets: (\d+)', pathlib.Path(self.log).read_text(errors='replace'))
        return int(counted[-1]) if counted else 0


def check_library(checks, when, abi, folder):
    """Every installed program gets the library of that folder."""
    users = machine.users(abi)
    others = {path: library for path in users
              if os.path.dirname(library := str(machine.library_of(path, abi))) != folder}
    checks.check(f'{when}: {len(users)} programs and drivers on {folder}', users and not others, others)


def check_switch(checks, when, folder):
    """Open vSwitch, started by its own script, is on the library of that folder."""
    started = Switch.start()
    loaded = machine.wait_for(lambda: os.path.exists(PID) and machine.mapped_by(Switch.pid()), 60)
    checks.check(f'{when}: Open vSwitch, by its own script, is on {folder}',
                 started.returncode == 0 and loaded and os.path.dirname(loaded) == folder,
                 f'{loaded}\n{started.stdout}')


def check_exporter(checks, when):
    """DPDK's own exporter (24.03 and later) finds the endpoint by itself, and tells of both guests."""
    exporter = shutil.which('dpdk-telemetry-exporter.py')
    if exporter is None:
        return
    url = f'http://{EXPORTER}/metrics'

    def answer():
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=60) as said:
            return said.read().decode()
        return ''

    with subprocess.Popen([exporter, '--output', f'openmetrics://{EXPORTER}', '--endpoint', 'vhost_numa'],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        metrics = machine.wait_for(answer) or ''
        process.terminate()
        said = process.communicate(timeout=60)[0]
    missing = [port for port in PORTS if not re.search(
        rf'(?m)^dpdk_vhost_numa_guest_remote{{[^}}]*guest="{port}"[^}}]*}} 0$', metrics)]
    checks.check(f"{when}: DPDK's exporter tells that both guests are local", not missing,
                 f'{missing}\n{metrics[:3000]}\n{said[-1000:]}')


def check_guests(checks, when):
    """Two guests; packets of one reach the other; the tool sees both in their place."""
    guests = [Guest(PORTS[0], 'txonly'), Guest(PORTS[1], 'rxonly')]

    def both_are_local():
        done = machine.run('dpdk-vhost-numa.py', '--check')
        return done.returncode == 0 and f'OK: {len(PORTS)} guests, {len(PORTS)} local' in done.stdout

    checks.check(f'{when}: dpdk-vhost-numa.py --check sees both guests, and nothing remote',
                 machine.wait_for(both_are_local), machine.run('dpdk-vhost-numa.py', '--check').stdout)
    check_exporter(checks, when)
    guests[0].end()
    received = guests[1].end()
    checks.check(f'{when}: packets of one guest reach the other', received > 0,
                 pathlib.Path(guests[1].log).read_text()[-2000:])


def check_testpmd(checks, when, folder):
    """testpmd's driver net_vhost, a plug-in, is on the library of that folder."""
    with subprocess.Popen([machine.TESTPMD, '--lcores', '0@0,1@0', *machine.EAL, '--vdev',
                           'net_vhost0,iface=/tmp/net_vhost0', '--', '-i', '--total-num-mbufs=2048'],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True) as process:
        loaded = machine.wait_for(lambda: os.path.exists('/tmp/net_vhost0') and machine.mapped_by(process.pid), 60)
        out, _ = process.communicate('quit\n', timeout=60)
    checks.check(f'{when}: testpmd with net_vhost is on {folder}',
                 loaded and os.path.dirname(loaded) == folder, out[-2000:])


def check_upgrade(checks, abi, folder):
    """An update of DPDK's package neither undoes it nor breaks it, while the switch runs."""
    package, before = f'librte-vhost{abi}', Switch.pid()
    done = machine.run('apt-get', '-q', '-y', 'install', '--reinstall', package)
    checks.check(f'{package} is installed again', done.returncode == 0, done.stdout[-1500:])
    check_library(checks, f'{package} again', abi, folder)
    with_later_version(package)
    check_library(checks, f'{package} of a later version', abi, folder)
    checks.check(f'dpkg finds {package} unchanged', not machine.run('dpkg', '-V', package).stdout)
    checks.check('Open vSwitch has run on', Switch.pid() == before and
                 os.path.dirname(str(machine.mapped_by(before))) == folder)
    machine.must('dpkg', '-i', glob.glob('/tmp/later/original/*.deb')[0])
    check_library(checks, f'{package} of the version before', abi, folder)


def with_later_version(package):
    """Install the package as if Debian had a later one."""
    os.makedirs('/tmp/later/original')
    machine.must('apt-get', '-q', 'download', package, cwd='/tmp/later/original')
    original, = glob.glob('/tmp/later/original/*.deb')
    machine.must('dpkg-deb', '-R', original, '/tmp/later/tree')
    control = pathlib.Path('/tmp/later/tree/DEBIAN/control')
    control.write_text(re.sub(r'(?m)^(Version: .*)$', r'\1+later', control.read_text()))
    machine.must('dpkg-deb', '-b', '/tmp/later/tree', '/tmp/later/later.deb')
    machine.must('dpkg', '-i', '/tmp/later/later.deb')


def check_foreign(checks, folder, abi):
    """Packages for another DPDK are refused, and nothing has changed then."""
    before = machine.must('dpkg', '-l')
    foreign = Packages(folder)
    done = foreign.install()
    checks.check(f'{os.path.basename(foreign.files[-1])} is refused on ABI {abi}',
                 done.returncode != 0 and 'librte-' in done.stdout and
                 machine.must('dpkg', '-l') == before, done.stdout[-1500:])


def main():
    packages = Packages(sys.argv[1])
    os.environ['DEBIAN_FRONTEND'] = 'noninteractive'
    abi = vhost_library.library_abi()
    ours = f'{machine.PACKAGED}/vhost-numa'
    checks = machine.Checks()
    machine.must('apt-get', '-q', 'update')
    machine.must('apt-get', '-q', '-y', '--no-install-recommends', 'install', 'gcc', 'libc6-dev',
                 'libsystemd-dev', 'make')
    Switch.configure()
    files, cache = machine.listing('/', without=VOLATILE), machine.loaders_cache()
    verified, installed = machine.run('dpkg', '-V').stdout, machine.must('dpkg', '-l')

    # What is to be seen without the packages, so that it is known that it could be seen.
    check_library(checks, 'before', abi, machine.PACKAGED)
    check_switch(checks, 'before', machine.PACKAGED)
    Switch.stop()
    if len(sys.argv) > 2:
        check_foreign(checks, sys.argv[2], abi)

    done = packages.install()
    checks.check(f'installed: {" ".join(packages.names)}', done.returncode == 0, done.stdout[-3000:])
    check_library(checks, 'installed', abi, ours)
    check_switch(checks, 'installed', ours)
    check_guests(checks, 'installed')
    check_testpmd(checks, 'installed', ours)
    check_upgrade(checks, abi, ours)
    check_guests(checks, 'after the upgrade')
    machine.build_outside(checks, TREE, '/tmp/outside', ours, abi)
    machine.check_switch(checks, '/usr/bin/dpdk-vhost', f'{ours}/librte_vhost.so', abi)
    Switch.stop()

    done = packages.purge()
    checks.check('purged', done.returncode == 0, done.stdout[-2000:])
    check_library(checks, 'purged', abi, machine.PACKAGED)
    check_switch(checks, 'purged', machine.PACKAGED)
    Switch.stop()
    left = machine.differences(files, machine.listing('/', without=VOLATILE))
    checks.check('every file is as before', not left, left[:4000])
    checks.check("the loader's cache is as before", machine.loaders_cache() == cache)
    checks.check('dpkg -V says what it said before', machine.run('dpkg', '-V').stdout == verified)
    checks.check('the same packages are installed', machine.must('dpkg', '-l') == installed)
    return checks.end()


if __name__ == '__main__':
    sys.exit(main())

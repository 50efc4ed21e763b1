# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""An unmodified Open vSwitch with DPDK: a database, a switch, a bridge with vhost-user ports.

No hugepages, no files outside the case's directory, and a network namespace of
its own, so that the bridge's tap device never shows on the host.
"""

import json
import os
import re
import signal
import socket
import subprocess

from processes import Failure, Process, Skip, check, need_programs, wait_until

SWITCH = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
TUN = "/dev/net/tun"
START_SECONDS = 60
ANSWER_SECONDS = 20

# --legacy-mem says nothing new beside --no-huge, but without it Open vSwitch
# adds --in-memory, which EAL refuses together with --no-huge.
EAL_ARGUMENTS = "--no-huge --legacy-mem -m 768 --no-pci --no-shconf --no-telemetry"


def _receive_json(talk):
    """One JSON text from a stream socket; it says itself where it ends."""
    data = b""
    while True:
        more = talk.recv(65536)
        data += more
        try:
            return json.loads(data)
        except ValueError:
            if not more:
                raise


class Switch:
    """A switch. Ports are of type dpdkvhostuserclient, the only one that does TSO.

    cpus: the one whose thread polls, and the one of all other threads. By default it is the
    same, as guests need the others more.
    """

    def __init__(self, bench, ports, tso=True, cpus=None):
        need_programs("ovsdb-tool", "ovsdb-server", "ovs-vsctl", "ovs-appctl", "unshare", SWITCH)
        if not os.access(TUN, os.R_OK | os.W_OK):
            raise Skip(f"no access to {TUN}, which Open vSwitch needs for its bridge")
        self._database = bench.path("db.sock")
        self._control = bench.path("vswitchd.ctl")
        self._bridge = bench.path("br0.mgmt")
        self._environment = {"OVS_RUNDIR": bench.directory, "OVS_LOGDIR": bench.directory,
                             "OVS_DBDIR": bench.directory}
        self.database = self._start_database(bench)
        self._configure(tso, *(cpus or 2 * [min(os.sched_getaffinity(0))]))
        self.process = self._start_switch(bench)
        self._add_bridge(bench, ports)
        bench.library.check_loaded_by(self.process)

    def _start_database(self, bench):
        store = bench.path("conf.db")
        subprocess.run(["ovsdb-tool", "create", store, SCHEMA], check=True, timeout=20)
        process = Process(bench, "ovsdb", ["ovsdb-server", store, "--remote=punix:" + self._database,
                                           "--unixctl=" + bench.path("ovsdb.ctl")], self._environment)
        wait_until(lambda: os.path.exists(self._database), 20, "ovsdb-server's socket")
        return process

    def _configure(self, tso, polling, control):
        # Buffers for each port by its size: the pool that ports share by default takes 800 MB.
        options = {"dpdk-init": "true", "dpdk-extra": EAL_ARGUMENTS,
                   "userspace-tso-enable": str(tso).lower(), "per-port-memory": "true",
                   "dpdk-lcore-mask": hex(1 << control), "pmd-cpu-mask": hex(1 << polling)}
        self.vsctl("--no-wait", "init")
        self.vsctl("--no-wait", "set", "Open_vSwitch", ".",
                   *(f'other_config:{name}="{value}"' for name, value in options.items()))

    def _start_switch(self, bench):
        namespace = ["unshare", "--net"]
        if os.geteuid() != 0:
            namespace += ["--map-current-user", "--keep-caps"]
        environment = {**self._environment, **bench.library.environment()}
        return Process(bench, "vswitchd", [*namespace, SWITCH, "unix:" + self._database,
                                           "--unixctl=" + self._control], environment)

    def _add_bridge(self, bench, ports):
        command = ["add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev"]
        for port in ports:
            command += ["--", "add-port", "br0", port, "--", "set", "Interface", port,
                        "type=dpdkvhostuserclient", "options:vhost-server-path=" + bench.path(port)]
        self.vsctl(*command)
        for port in ports:
            error = self.vsctl("get", "Interface", port, "error")
            check(error == "[]", f"port {port}: {error}")

    def check_healthy(self):
        """Fail if the switch has reported an error or is gone."""
        errors = [line for line in self.process.output().splitlines() if "|ERR|" in line or "|EMER|" in line]
        check(not errors, f"the switch: {errors and errors[0].partition('|')[2]}")
        check(self.process.is_alive(), "the switch has died")

    def stop(self):
        """End the switch in good order."""
        subprocess.run(["ovs-appctl", "-t", self._control, "exit"], check=True, timeout=20, stdout=subprocess.DEVNULL)
        self.process.finish()

    def pause(self):
        """Leave its core to others. The database pauses as well, lest it give up the switch."""
        for process in (self.process, self.database):
            os.kill(process.pid, signal.SIGSTOP)

    def resume(self):
        """Undo pause()."""
        for process in (self.database, self.process):
            os.kill(process.pid, signal.SIGCONT)

    def connect(self, port, other):
        """Send all that comes from one port to another one."""
        done = subprocess.run(["ovs-ofctl", "add-flow", "unix:" + self._bridge,
                               f"in_port={port},priority=40000,actions=output:{other}"],
                              capture_output=True, text=True, timeout=START_SECONDS)
        check(done.returncode == 0, f"ovs-ofctl: {done.stderr.strip()[-200:]}")

    def work(self):
        """(processing cycles, packets received) of the polling thread since it started."""
        text = self.ask("dpif-netdev/pmd-stats-show").partition("pmd thread")[2]
        return tuple(int(re.search(rf"^\s+{name}: (\d+)", text, re.M).group(1))
                     for name in ("processing cycles", "packets received"))

    def received(self, port):
        """Bytes and packets that have come in at a port."""
        text = self.ask("dpctl/show", "-s")
        found = re.search(rf"port \d+: {port} .*?RX packets:(\d+).*?RX bytes:(\d+)", text, re.S)
        check(found, f"the switch has no counters of {port}")
        packets, octets = map(int, found.groups())
        return octets, packets

    def ask(self, command, *arguments):
        """What ovs-appctl would print, without the time that it takes to start a program."""
        request = json.dumps({"id": 0, "method": command, "params": arguments})
        with socket.socket(socket.AF_UNIX) as talk:
            talk.settimeout(ANSWER_SECONDS)
            try:
                talk.connect(self._control)
                talk.sendall(request.encode())
                answer = _receive_json(talk)
            except (OSError, ValueError) as error:
                raise Failure(f"the switch: {command}: {error}") from None
        check(answer["error"] is None, f"the switch: {command}: {answer['error']}")
        return answer["result"]

    def vsctl(self, *arguments):
        """Run ovs-vsctl and return what it prints."""
        try:
            done = subprocess.run(["ovs-vsctl", f"--db=unix:{self._database}", f"--timeout={START_SECONDS}",
                                   *arguments], capture_output=True, text=True, timeout=START_SECONDS + 10)
        except subprocess.TimeoutExpired:
            raise Failure(f"ovs-vsctl {arguments[0]} does not end") from None
        check(done.returncode == 0, f"ovs-vsctl {' '.join(arguments)}: {done.stderr.strip()[-200:]}")
        return done.stdout.strip()

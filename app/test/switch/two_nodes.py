# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A machine with two NUMA nodes: each guest is served from the node it lives on, and served there when it moves.

What the switch says of itself is compared with what the kernel says: the node of
each page of a guest's mbufs, the node of the guest's memory, the CPU of the lcore
and the node of its stack.
"""

import contextlib
import os
import re
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../../devtools/article.d"))

import following
import guest as ipxe
import nodes
import traffic
from processes import Failure, Skip, check, need_programs, wait_until
from station import Station
from testpmd import Testpmd
from vswitch import VhostSwitch

MEMORY = 256
HUGEPAGES_NEEDED = (MEMORY + 2 * ipxe.MEMORY) // 2
FRAMES, SLICE = 100, 50
READ_AT_ONCE = 4 << 20
PAGE = 4096
# Everything takes its time in an emulated machine.
PATIENCE = 120
LOCAL_DISTANCE = 10


class Machine:
    """Two nodes and the lcores of a switch on them: one that controls and one that polls on each node."""

    def __init__(self):
        need_programs("numactl", "taskset")
        usable = [node for node in nodes.usable_nodes()
                  if node.free_hugepages >= HUGEPAGES_NEEDED and len(node.cpus) > 1]
        if len(usable) < 2:
            raise Skip(f"it takes two nodes with two CPUs and {HUGEPAGES_NEEDED} free 2 MiB hugepages each "
                       "(devtools/numa-lab)")
        self.home, self.other = usable[:2]

    def start_switch(self, bench, ports, lcores_on, options=(), memory=(MEMORY, MEMORY), limit=None):
        """A switch whose control threads are on the home node, so that all it does elsewhere is done on purpose."""
        lcores = [f"0@{self.home.cpus[1]}"] + [f"{lcore}@{node.cpus[0]}" for lcore, node in enumerate(lcores_on, 1)]
        sizes = ["--socket-mem=" + self._by_node(memory)]
        if limit:
            sizes.append("--socket-limit=" + self._by_node(limit))
        return VhostSwitch(
            # Idle polling would slow down an emulated machine.
            bench, ports, [*options, "--interactive", "--total-num-mbufs=32768", "--pmd-sleep-max=500"],
            lcores=",".join(lcores), memory=[*sizes, "--huge-unlink"],
            launcher=["taskset", "--cpu-list", ",".join(map(str, self.home.cpus[1:]))]).ready()

    def _by_node(self, pair):
        sizes = [0] * (max(self.home.number, self.other.number) + 1)
        sizes[self.home.number], sizes[self.other.number] = pair
        return ",".join(map(str, sizes))


def start_station(bench, name, port, number, node):
    """A guest of testpmd with all its memory, and the lcores that forward, on one node."""
    return Station(bench, name, bench.path(port), number, forwarding_cpus=node.cpus[1:],
                   launcher=["numactl", f"--membind={node.number}"]).ready(PATIENCE)


def show(switch, title):
    """Print what pmd-rxq-show says, and return it."""
    switch.skip_to_end()
    start = switch.mark()
    switch.send("pmd-rxq-show")
    switch.send("help")
    switch.expect("rxq-affinity", 30)
    text = switch.output(start).partition("help")[0]
    print(f"{title}: pmd-rxq-show\n" + re.sub("^", "    ", text.strip(), flags=re.M), flush=True)
    return text


def zones_of_pool(switch, name):
    """The pieces of memory that a pool of mbufs is made of."""
    zones = (switch.ask(f"/eal/memzone_info,{number}") for number in switch.ask("/eal/memzone_list"))
    return [zone for zone in zones if re.fullmatch(rf"MP_{re.escape(name)}(_\d+)?", zone["Name"])]


def pool_memory(switch, name):
    """KiB on each node of the memory of a pool, asked of the kernel page by page."""
    sizes = {}
    for zone in zones_of_pool(switch, name):
        for node, size in nodes.memory_of_range(switch.pid, int(zone["Address"], 16), zone["Length"],
                                                zone["Hugepage_size"]).items():
            sizes[node] = sizes.get(node, 0) + size
    return sizes


def mbufs_with(switch, frame):
    """The nodes of those mbufs in which this frame is still to be found."""
    found = set()
    for name in switch.pools():
        for zone in zones_of_pool(switch, name):
            for address in addresses_of(switch.pid, int(zone["Address"], 16), zone["Length"], frame):
                found |= set(nodes.memory_of_range(switch.pid, address, 1, zone["Hugepage_size"]))
    return found


def addresses_of(pid, start, length, wanted):
    """Where these bytes are in a part of a process's memory."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        os.lseek(memory.fileno(), start, os.SEEK_SET)
        content = b""
        while len(content) < length and (piece := memory.read(min(length - len(content), READ_AT_ONCE))):
            content += piece
    at = content.find(wanted)
    while at >= 0:
        yield start + at
        at = content.find(wanted, at + 1)


def thread_of(switch, lcore):
    """The kernel's number of an lcore's thread."""
    for thread in os.listdir(f"/proc/{switch.pid}/task"):
        with open(f"/proc/{switch.pid}/task/{thread}/comm", encoding="ascii") as name:
            if re.fullmatch(rf"(lcore-worker-|rte-worker-|dpdk-worker){lcore}\n", name.read()):
                return int(thread)
    raise Failure(f"there is no thread of lcore {lcore}")


def lcore_node(switch, lcore, machine):
    """The node of the CPUs on which the kernel lets an lcore's thread run."""
    cpus = os.sched_getaffinity(thread_of(switch, lcore))
    return next((node.number for node in (machine.home, machine.other) if cpus <= set(node.cpus)), None)


def stack_memory(switch, lcore):
    """KiB on each node of an lcore's stack, and of the thread-local variables at its end."""
    path = f"/proc/{switch.pid}/task/{thread_of(switch, lcore)}/syscall"

    def stack_pointer():
        # Told of a thread that sleeps, which an idle lcore does every now and then.
        with open(path, encoding="ascii") as file:
            words = file.read().split()
        return int(words[-2], 16) if len(words) > 2 else 0

    inside = wait_until(stack_pointer, PATIENCE, f"lcore {lcore} to sleep")
    with open(f"/proc/{switch.pid}/maps", encoding="utf-8") as maps:
        for line in maps:
            first, last = (int(address, 16) for address in line.split()[0].split("-"))
            if first <= inside < last:
                return nodes.memory_of_range(switch.pid, first, last - first, PAGE)
    raise Failure(f"lcore {lcore} has no stack")


def check_served(switch, machine, port, node, guest_pid, memory_file, text):
    """A guest is polled on its node, with structures, mbufs and memory there."""
    info = switch.info(port)
    for what in ("node", "structures_node", "mbufs_node", "guest_memory_node"):
        check(info[what] == node.number, f"{port}: {what} is {info[what]}, its guest lives on {node.number}")
    for queue in switch.queues(port):
        check(queue["local"] and queue["distance"] == LOCAL_DISTANCE and queue["lcore_node"] == node.number,
              f"{port}: {queue}")
        check(lcore_node(switch, queue["lcore"], machine) == node.number,
              f"{port}: lcore {queue['lcore']} does not run on node {node.number}")
        stack = stack_memory(switch, queue["lcore"])
        check(set(stack) == {node.number}, f"{port}: the stack of lcore {queue['lcore']} is on {stack}")
    pools = [name for name, pool in switch.pools().items() if pool["node"] == node.number]
    check(len(pools) == 1, f"pools of node {node.number}: {pools}")
    memory = pool_memory(switch, pools[0])
    check(set(memory) == {node.number}, f"{port}: its mbufs are in {pools[0]}, which is on {memory}")
    theirs = nodes.memory_by_node(guest_pid, memory_file)
    check(set(theirs) == {node.number}, f"{port}: its guest's memory is on {theirs}")
    block = text.partition(f"guest {port}:")[2].partition("\nguest ")[0]
    check(len(re.findall(rf"node {node.number}\b.*\bLOCAL", block)) >= 3 and "REMOTE" not in block,
          f"pmd-rxq-show of {port}: {block}")


def talk(switch, ports, stations, label):
    """Verified frames both ways between two stations."""
    one, two = stations
    ways = [(source, sink, traffic.make(source.address, sink.address, f"{label}{source.number}", FRAMES))
            for source, sink in ((one, two), (two, one))]
    before = {station: len(station.received()) for station in stations}
    for station in stations:
        station.send_frames(traffic.make(station.address, traffic.BROADCAST, f"{label}hello{station.number}"))
    for station in stations:
        before[station] += 1
        station.wait_received(before[station], PATIENCE)
    for port, (source, sink, batch) in zip(ports, ways):
        for at in range(0, FRAMES, SLICE):
            source.send_frames(batch[at:at + SLICE])
            sink.wait_received(before[sink] + at + SLICE, PATIENCE)
        check(sink.received()[before[sink]:] == batch, f"{label}: not what was sent from {source.name}")
        # Until the next packet comes the last one is still in its mbuf.
        where = mbufs_with(switch, batch[-1])
        check(where == {switch.info(port)["mbufs_node"]}, f"{label}: the last packet of {source.name} was on {where}")
    crossed = sum(switch.info(port)["counters"]["crossed_nodes"] for port in ports)
    return crossed


def run_stations(bench):
    """Two virtio-user guests: both at home, then one moves to the other node, then the other one too."""
    machine = Machine()
    ports = ["vhost0", "vhost1"]
    switch = machine.start_switch(bench, ports, [machine.home, machine.other])
    places = ([machine.home, machine.home], [machine.home, machine.other], [machine.other, machine.other])
    stations, where, crossed = [None, None], [None, None], 0
    for step, place in enumerate(places):
        for index in range(2):
            if where[index] == place[index]:
                continue
            if stations[index]:
                stations[index].leave()
                switch.wait_gone(ports[index])
            stations[index] = start_station(bench, f"guest{index}-{step}", ports[index], index + 1, place[index])
            stations[index].begin()
            where[index] = place[index]
        switch.wait_guests(ports, PATIENCE)
        before = crossed
        crossed = talk(switch, ports, stations, f"s{step}")
        check((crossed > before) == (place[0] != place[1]), f"packets that crossed nodes: {before}, then {crossed}")
        text = show(switch, f"guests on nodes {place[0].number} and {place[1].number}")
        for port, station, node in zip(ports, stations, place):
            check_served(switch, machine, port, node, station.pid, "/memfd:nohuge", text)
    switch.settled_totals()
    for station in stations:
        station.leave()
    switch.stop()


def run_qemu(bench):
    """Two QEMU guests on two nodes, then the one from home goes to the other node."""
    if not os.path.exists(ipxe.IPXE):
        raise Skip(f"no {ipxe.IPXE} (package ipxe)")
    machine = Machine()
    ports = ["vhost0", "vhost1"]
    switch = machine.start_switch(bench, ports, [machine.home, machine.other])
    show(switch, "before any guest")

    def start(number, node):
        return stack.enter_context(ipxe.start_guest(number, ports[number], node, bench.path(ports[number]), False,
                                                    bench.directory))

    def check_both(places, title):
        switch.wait_guests(ports, PATIENCE)
        counted = {port: switch.info(port)["counters"] for port in ports}

        def both_ways():
            return all(switch.info(port)["counters"][way] >= counted[port][way] + 3
                       for port in ports for way in ("rx_packets", "tx_packets"))

        wait_until(both_ways, PATIENCE, f"{title}: packets both ways")
        text = show(switch, title)
        for port, node, guest in zip(ports, places, guests):
            check_served(switch, machine, port, node, guest.pid, "/dev/hugepages", text)

    with contextlib.ExitStack() as stack:
        places = [machine.home, machine.other]
        guests = [start(number, node) for number, node in enumerate(places)]
        check_both(places, "guests on both nodes")
        guests[0].stop()
        switch.wait_gone(ports[0], PATIENCE)
        places = [machine.other, machine.other]
        guests[0] = start(0, machine.other)
        check_both(places, "both guests on the other node")
    for port in ports:
        switch.wait_gone(port, PATIENCE)
    switch.audit(dict.fromkeys(ports))
    switch.stop()


def start_pair(bench, machine, ports):
    """A station on each node."""
    stations = [start_station(bench, f"guest{index}", port, index + 1, node)
                for index, (port, node) in enumerate(zip(ports, (machine.home, machine.other)))]
    for station in stations:
        station.begin()
    return stations


def end(switch, ports, stations):
    """Audit and end everything."""
    switch.audit(dict(zip(ports, stations)))
    for station in stations:
        station.leave()
    switch.stop()


def run_no_lcore(bench):
    """No lcore on the guest's node: the cost is told, everything else is on that node, and packets flow."""
    machine = Machine()
    ports = ["vhost0", "vhost1"]
    switch = machine.start_switch(bench, ports, [machine.home])
    stations = start_pair(bench, machine, ports)
    switch.wait_guests(ports, PATIENCE)
    talk(switch, ports, stations, "nolcore")
    home, other = machine.home.number, machine.other.number
    told = re.findall(rf"no polling lcore on node {other}: guest vhost1 queue 0 is polled by lcore 1 on node {home}, "
                      r"each access over distance \d+ instead of 10", switch.output())
    check(len(told) == 1, f"the cost is told {len(told)} times")
    info, (queue,) = switch.info("vhost1"), switch.queues("vhost1")
    check(info["node"] == info["mbufs_node"] == info["structures_node"] == other, f"vhost1: {info}")
    check(not queue["local"] and queue["distance"] > LOCAL_DISTANCE and queue["lcore_node"] == home, f"vhost1: {queue}")
    text = show(switch, "a guest on a node without lcores").partition("guest vhost1:")[2]
    check(len(re.findall("REMOTE", text)) >= 3, f"pmd-rxq-show: {text}")
    end(switch, ports, stations)


def run_no_memory(bench):
    """No memory for the switch on the guest's node: it is told, the nearest node serves, and packets flow."""
    machine = Machine()
    ports = ["vhost0", "vhost1"]
    switch = machine.start_switch(bench, ports, [machine.home, machine.other], memory=(MEMORY, 0),
                                  limit=(2 * MEMORY, 2))
    stations = start_pair(bench, machine, ports)
    switch.wait_guests(ports, PATIENCE)
    talk(switch, ports, stations, "nomem")
    home, other = machine.home.number, machine.other.number
    check(re.search(rf"no memory on node {other}\b.*stays on node {home}|no memory for a pool on node {other}",
                    switch.output()), f"nobody tells that node {other} has no memory")
    info = switch.info("vhost1")
    check(info["mbufs_node"] == home and info["guest_memory_node"] == other, f"vhost1: {info}")
    text = show(switch, "a guest on a node without memory").partition("guest vhost1:")[2]
    check("REMOTE" in text, f"pmd-rxq-show: {text}")
    end(switch, ports, stations)


def run_advice(bench):
    """What dpdk-vhost-numa.py --advise says, typed word for word, brings home what is remote: of this switch."""
    machine = Machine()
    switch = machine.start_switch(bench, ["vhost1"], [machine.home, machine.other])
    station = start_station(bench, "guest", "vhost1", 1, machine.other)
    station.begin()
    switch.wait_guests(["vhost1"], PATIENCE)
    vid = switch.info("vhost1")["vid"]
    switch.ask("/vhost_switch/rxq_affinity,vhost1,0,1")
    switch.ask(f"/vhost/numa_policy,{vid},pin,{machine.home.number}")
    follow_advice(bench, "vhost1", ["queues", "device", "core"])
    station.leave()
    switch.stop()


def run_advice_testpmd(bench):
    """The same of testpmd."""
    machine = Machine()
    backend = Testpmd(
        bench, "backend", [f"net_vhost0,iface={bench.path('vhost1')}"], ["--forward-mode=rxonly"], backend=True,
        with_telemetry=True, forwarding_cpus=machine.other.cpus[:1],
        launcher=["numactl", f"--membind={machine.other.number}"]).ready(PATIENCE)
    station = start_station(bench, "guest", "vhost1", 1, machine.other)
    backend.wait_link_up()
    backend.command_ok("start", "packet forwarding")
    station.begin()
    backend.ask(f"/vhost/numa_policy,0,pin,{machine.home.number}")
    follow_advice(bench, "vhost1", ["queues", "device"])
    station.leave()
    backend.terminate()


def follow_advice(bench, name, remote):
    """The tool names all that is remote, and what to type against it helps."""
    where = ["--runtime-dir", bench.path("dpdk"), "--sample", "1"]
    environment = dict(os.environ, RUNTIME_DIRECTORY=bench.directory)

    def is_remote():
        words = " ".join(following.verdicts(where, environment)[name])
        return all(word.rstrip("s") in words for word in remote)

    wait_until(is_remote, PATIENCE, f"the tool to call {', '.join(remote)} of {name} remote")
    check(following.follow(where, environment, print), "it is remote in spite of all advice")


def cases():
    """Name and function of each case."""
    yield "nodes-advice", run_advice
    yield "nodes-advice-testpmd", run_advice_testpmd
    yield "nodes-virtio-user", run_stations
    yield "nodes-qemu", run_qemu
    yield "nodes-no-lcore", run_no_lcore
    yield "nodes-no-memory", run_no_memory

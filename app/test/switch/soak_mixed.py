# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""The soak with guests of all kinds, and with everything that can happen to them.

Beside the herds of soak.py, which restart and die, there are on the same switch: a Linux
guest under QEMU that pings user-mode Linux, is given more memory and has it taken away, and
is migrated from one socket to another; frontends that talk nonsense, or whose rings do.
Meanwhile sockets are unregistered, the policy of placement of all of them changes, and, where
there are several nodes, their memory moves. At the end all that soak.py accounts for is accounted for.

In the emulated machine of devtools/numa-lab the guest that pings is user-mode Linux, too: one
that is emulated there beside pollers is too slow to be a guest.  And the switch sleeps while
there is nothing to do.
"""

import contextlib
import mmap
import os
import signal
import socket
import subprocess
import sys

import soak
from guests import QemuGuest, UmlGuest
from linux_guests import ADDRESSES
from migration import Monitor, incoming_arguments, migrate, monitor_arguments
from misbehave import GIBBERISH
from processes import BUSY, check, wait_until

sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../../devtools/control-compare.d"))
import frontend

# Sockets beside those of the herds: for the Linux guest by turns, its peer, and strangers.
HOMES, PEER, STRANGE = ("linux1", "linux2"), "peer", "strange"
EMULATED = "NUMA_LAB" in os.environ
SPARING = ("--pmd-sleep-max=500",)
ROUND_SECONDS, MOVE_SECONDS = 120, 40
MODULE_MIB = 128         # a block of its kernel's: it takes no less
# So much nicer are the herds, which poll without a pause, than those who need time to be heard.
HERD_NICENESS = 10
GUEST_BYTES = 4 << 20
# What happens, beside restarts.
LIKELY = ("nonsense", "lie", "lie", "lie", "unregister", "policy", "policy", "memory", "memory", "travel", "plug")

# The guest tells of each round of pings. Frames that nobody has learned yet, of the herds, fill its ring as well: some
# are lost.
PINGING = f"""
echo online > /sys/devices/system/memory/auto_online_blocks
while :; do say round $(pings 50 1000 {ADDRESSES[2]}); done
"""
ANSWERING = "while :; do usleep 1000000; done"


class TravellingGuest(QemuGuest):
    """A guest with an empty slot for memory."""

    MEMORY_SLOTS = ",slots=1,maxmem=1G"


class Pinger:
    """User-mode Linux that pings its peer, and stays where it is."""

    def __init__(self, bench, switch):
        self.bench, self.switch = bench, switch
        self.homes = list(HOMES)
        self.acts = {}      # what can happen to it: name and function
        self.start()

    def start(self):
        """It comes to its socket, and its peer answers."""
        self.guest = self.make_guest()
        self.guest.wait_ready()
        self.hear_pings()

    def make_guest(self):
        """The guest, at its first home."""
        return UmlGuest(self.bench, "uml-pinger", self.bench.path(self.homes[0]), ADDRESSES[1], PINGING)

    def hear_pings(self):
        """The guest goes on, and hears from its peer."""
        self.guest.skip_to_end()
        for _ in range(2):
            lost, sent = self.guest.hear(r"round (\d+) of (\d+) lost, .*", ROUND_SECONDS)
        check(int(lost) < int(sent), f"all {sent} pings were lost")

    def pause(self):
        """It sends nothing more."""
        os.kill(self.guest.pid, signal.SIGSTOP)

    def resume(self):
        """It goes on."""
        os.kill(self.guest.pid, signal.SIGCONT)

    def end(self):
        """It still hears from its peer, its kernel has not complained, and it leaves."""
        self.hear_pings()
        complaints = self.guest.kernel_complaints()
        check(not complaints, f"the guest's kernel: {complaints[:1]}")
        self.guest.kill()


class TravellingPinger(Pinger):
    """Linux under QEMU: it is migrated, and given memory."""

    def __init__(self, bench, switch):
        self._travels = 0
        super().__init__(bench, switch)
        self.acts = {"travel": self._travel, "plug": self._plug}

    def make_guest(self, extra=()):
        self._travels += 1
        path = self.bench.path(f"qmp{self._travels}")
        guest = TravellingGuest(self.bench, f"linux-{self._travels}", self.bench.path(self.homes[0]), ADDRESSES[1],
                                PINGING, mac=1, extra=[*monitor_arguments(path), *extra])
        self._monitor = Monitor(path)
        return guest

    def _travel(self):
        """To the other socket; with a module of memory it would not be let in there."""
        if self._has_module():
            self._start_anew()
            return
        here, monitor, path = self.guest, self._monitor, self.bench.path(f"travel{self._travels}")
        self.homes.reverse()
        self.guest = self.make_guest(incoming_arguments(path))
        migrate(monitor, self._monitor, path)
        monitor.execute("quit")
        monitor.close()
        here.finish()
        self.switch.wait_gone(self.homes[1])
        self.hear_pings()

    def _has_module(self):
        return bool(self._monitor.execute("query-memory-devices"))

    def _start_anew(self):
        self.guest.kill()
        self._monitor.close()
        self.switch.wait_gone(self.homes[0])
        self.start()

    def _plug(self):
        """More memory."""
        if self._has_module():
            self._start_anew()
            return
        self._monitor.execute("object-add", **{"qom-type": "memory-backend-memfd", "id": "module", "share": True,
                                               "size": MODULE_MIB << 20})
        self._monitor.execute("device_add", driver="pc-dimm", id="dimm", memdev="module")
        self.hear_pings()

    def pause(self):
        self._monitor.execute("stop")

    def resume(self):
        self._monitor.execute("cont")

    def end(self):
        super().end()
        self._monitor.close()


class MixedSoak(soak.Soak):
    """The soak, and who else is there."""

    def __init__(self, bench, guests, packed):
        self._nodes = sorted(int(name[4:]) for name in os.listdir("/sys/devices/system/node") if name[4:].isdigit())
        super().__init__(bench, guests, packed, [*HOMES, PEER, STRANGE], SPARING if EMULATED else ())
        self._peer = UmlGuest(bench, "uml", bench.path(PEER), ADDRESSES[2], ANSWERING)
        self._peer.wait_ready()
        self.tell("user-mode Linux is there")
        self._pinger = (Pinger if EMULATED else TravellingPinger)(bench, self.switch)
        self.tell("it is pinged")

    def _start(self, index):
        herd = super()._start(index)
        # before it has threads, which take after the first one
        os.setpriority(os.PRIO_PROCESS, herd.pid, os.getpriority(os.PRIO_PROCESS, 0) + HERD_NICENESS)
        return herd

    def wait_guests(self):
        wait_until(lambda: self.switch.polled() >= set(self.names), soak.START_SECONDS, "the guests at the switch")

    def check_sums(self, received, of_guests):
        # of a socket to which nobody has come yet the answer is an error
        infos = map(self.switch.info, (*HOMES, PEER, STRANGE))
        others = sum(info["counters"]["rx_packets"] for info in infos if "counters" in info)
        super().check_sums(received, of_guests + others)

    def come_to_rest(self):
        """Nor may anyone ping meanwhile; the peer only answers."""
        self._pinger.pause()
        try:
            return super().come_to_rest()
        finally:
            self._pinger.resume()

    # ---- strangers ----

    def _talk_nonsense(self, dice):
        with socket.socket(socket.AF_UNIX) as talk, contextlib.suppress(OSError):
            talk.connect(self.bench.path(dice.choice([*self.names, STRANGE])))
            talk.sendall(dice.choice(GIBBERISH))

    def _lie(self, dice):
        """A device whose rings are anything, and change while they are polled."""
        guest = frontend.Guest(GUEST_BYTES, resident=True)
        fe = frontend.Frontend(self.bench.path(STRANGE))
        try:
            with mmap.mmap(guest.regions[0][4], GUEST_BYTES) as memory, contextlib.suppress(frontend.Refused):
                fe.set_up(guest)
                for _ in range(dice.randrange(1, 200)):
                    at = dice.randrange(2 * frontend.RING_BYTES - 64)
                    memory[at:at + 64] = dice.randbytes(64)
                if dice.random() < 0.5:
                    os.ftruncate(guest.regions[0][4], dice.randrange(GUEST_BYTES // 4096) * 4096)
        except ValueError:
            pass    # the map ends behind its file
        finally:
            fe.close()
            guest.close()
        # one at a time: the next has the same name, and the same counters
        self.switch.wait_gone(STRANGE)

    def _unregister(self, dice):
        """A socket is unregistered with its guest at full load, and listens again: its herd is killed."""
        herd = dice.choice(self.herds)
        path = self.bench.path(f"vhost{dice.choice(herd.guests)}")
        answer = self.switch.ask(f"/vhost_switch/socket_restart,{path}")
        check(answer == {"result": "done"}, f"{path} is not started again: {answer}")
        self.restart(self.herds.index(herd), soak.KILLED)

    # ---- placement ----

    def _change_policy(self, dice):
        vid = dice.choice(self.switch.ask("/vhost/list"))
        words = dice.choice(("off", "follow", "follow", "pin,0", "follow,restart"))
        self.switch.ask(f"/vhost/numa_policy,{vid},{words}")
        self.switch.ask(f"/vhost/numa_refresh,{vid}")

    def _move_memory(self, dice):
        """A guest's memory goes to another node, if there is one."""
        process, node = dice.choice([*self.herds, self._pinger.guest]), dice.choice(self._nodes)
        if len(self._nodes) > 1:
            self._move(process, node)
        self.switch.ask(f"/vhost/numa_refresh,{dice.choice(self.switch.ask('/vhost/list'))}")

    @staticmethod
    def _move(process, node):
        subprocess.run(["migratepages", str(process.pid), "all", str(node)], check=False, timeout=BUSY * MOVE_SECONDS)

    def warm_up(self):
        """Everything has been on every node as well, with what is made once on each."""
        for node in self._nodes[1:] + self._nodes[:1]:
            for herd in self.herds:
                self._move(herd, node)
            for vid in self.switch.ask("/vhost/list"):
                self.switch.ask(f"/vhost/numa_refresh,{vid}")
            super().warm_up()

    def disturb(self, dice):
        acts = {"nonsense": self._talk_nonsense, "lie": self._lie, "unregister": self._unregister,
                "policy": self._change_policy, "memory": self._move_memory}
        what = dice.choice([what for what in LIKELY if what in acts or what in self._pinger.acts] + ["restart"])
        if what == "restart":
            return super().disturb(dice)
        if what in acts:
            acts[what](dice)
        else:
            self._pinger.acts[what]()
        return what

    def end(self):
        self._pinger.end()
        self._peer.kill()
        super().end()


def cases():
    """Name and function of each case."""
    for name, packed in (("split", False), ("packed", True)):
        yield f"soak-mixed-{name}", lambda bench, packed=packed: soak.run_soak(bench, packed, MixedSoak)

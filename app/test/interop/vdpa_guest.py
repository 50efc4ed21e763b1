# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A QEMU Linux guest pings through a vDPA device whose hardware is a thread (dpdk-test-vhost-vdpa).

It is served by its rings' addresses, with used entries relayed or not, rings its
doorbell itself where QEMU has mapped the device's page, and moves to another
device while written pages are logged by relaying.
"""

import os
import re
import subprocess

import migrate_guest
from guests import BUSYBOX, QemuGuest
from migration import incoming_arguments, migrate
from pings import ADDRESS, GATEWAY, SIZES, check_pings, ping_script
from processes import Process, Skip, check, need_programs, wait_until
from vhost_library import PACKAGED, driver_folder

PROGRAM = "app/test-vhost-vdpa/dpdk-test-vhost-vdpa"
ANSWER_SECONDS = 30
# QEMU maps doorbells of modern devices that have a page for each ring.
DOORBELLS = "disable-legacy=on,page-per-vq=on"

# Pings from two CPUs, which have a queue each, with two queues, one, and two again.
CHANNELS_SCRIPT = f"""
step() {{
    for cpu in 0 1; do
        taskset -c $cpu {BUSYBOX} ping -A -q -c 30 -w 60 {GATEWAY} > /tmp/pings || say cpu $cpu: $(cat /tmp/pings)
    done
    say step $1
    read line
}}
step two
channels eth0 1 || say cannot use one queue
step one
channels eth0 2 || say cannot use two queues
step again
"""


def find_program(bench):
    """The backend, beside the library of a build folder."""
    top = os.path.realpath(bench.library.directory or os.path.join(os.path.dirname(__file__), "../../../build/lib"))
    program = os.path.join(os.path.dirname(top), PROGRAM)
    if not os.access(program, os.X_OK):
        raise Skip(f"no {program}")
    return program


class Hardware(Process):
    """A vDPA device behind a socket."""

    def __init__(self, bench, name, socket, pairs=1, words="-"):
        environment = {"LD_LIBRARY_PATH": PACKAGED} if bench.library.packaged else bench.library.environment()
        super().__init__(bench, name, [
            find_program(bench), "--no-huge", "-m", "64", "--no-pci", "--no-telemetry", "--no-shconf", "-l", "0",
            "-d", driver_folder() + "/librte_mempool_ring.so", "--", socket, str(pairs), words], environment)
        self.pairs = pairs
        self.expect("^serving ", ANSWER_SECONDS)
        bench.library.check_loaded_by(self)

    def ask(self):
        """What it says of itself: three groups of numbers by name, the second a list with one of each ring."""
        start = self.mark()
        self.send("stats")
        line = self.expect(r"^stats (.*)\n(?:.*\n)*?asked (.*)\n", ANSWER_SECONDS, start)
        rings = re.findall(r"^ring \d+ (.*)$", self.output(start), re.M)
        return numbers(line[1]), [numbers(ring) for ring in rings], numbers(line[2])

    def quit(self):
        """End it in good order."""
        self.send("quit")
        self.finish()


def numbers(text):
    """Names and numbers in turn."""
    words = text.split()
    return dict(zip(words[::2], map(int, words[1::2])))


def check_served(hardware, pairs, relaying):
    """All of the guest's frames went through the device, and none was lost on the way back."""
    state, rings, asked = hardware.ask()
    check(state["running"] == 1 and state["relaying"] == relaying, f"{hardware.name}: {state}")
    check(asked["conf"] == 1 and asked["close"] == 0, f"{hardware.name} was asked {asked}")
    for number, ring in enumerate(rings[:2 * pairs]):
        check(ring["frames"] > 0, f"{hardware.name}: no frames on ring {number}")
        check(ring["refused"] == 0 and ring["broken"] == 0, f"{hardware.name}, ring {number}: {ring}")
        check((ring["relayed"] >= ring["frames"]) == bool(relaying), f"{hardware.name}, ring {number}: {ring}")
    return state, rings


def check_end(hardware):
    """The guest has gone: the driver was told, in good order."""
    hardware.expect("^destroy device", ANSWER_SECONDS, 0)
    _, _, asked = hardware.ask()
    check(asked["close"] == asked["conf"], f"{hardware.name} was asked {asked}")
    hardware.quit()


def run_case(bench, words="-", pairs=1, device="", event_idx=True):
    """Boot a guest, ping at all sizes, and end both sides in good order."""
    socket = bench.path("vhost.sock")
    hardware = Hardware(bench, "hardware", socket, pairs, words)
    options = ",".join(filter(None, [device, "" if event_idx else "event_idx=off"]))
    script = ping_script(GATEWAY, pairs, SIZES) + "read line\n"
    guest = QemuGuest(bench, "guest", socket, ADDRESS, script, queues=pairs, device=options)
    negotiated = guest.wait_ready()
    check(("EVENT_IDX" in negotiated) == event_idx, f"the guest has negotiated {negotiated}")
    check_pings(guest, pairs, lambda: check_served(hardware, pairs, "relay" in words))
    state, rings = check_served(hardware, pairs, "relay" in words)
    check(state["doorbells"] == ("doorbells" in words), f"doorbells: {state}")
    for number in range(1, 2 * pairs, 2):
        # QEMU itself kicks each ring that starts
        by_itself = rings[number]["doorbells"] > 10 * rings[number]["kicks"]
        check(by_itself == ("doorbells" in words), f"ring {number}: {rings[number]}")
    guest.send("go")
    guest.finish()
    check_end(hardware)


def build_program(bench, name):
    """A static program of this folder, for guests."""
    need_programs("cc")
    built = bench.path(name)
    source = os.path.join(os.path.dirname(os.path.realpath(__file__)), name + ".c")
    done = subprocess.run(["cc", "-O1", "-static", "-o", built, source], capture_output=True, text=True, check=False)
    check(done.returncode == 0, f"{name}: {done.stderr}")
    return built


def run_channels(bench, words="-", device=""):
    """The guest gives a pair of queues up, and takes it again."""
    socket = bench.path("vhost.sock")
    hardware = Hardware(bench, "hardware", socket, 2, words)
    guest = QemuGuest(bench, "guest", socket, ADDRESS, CHANNELS_SCRIPT, queues=2, device=device,
                      programs={"channels": build_program(bench, "channels")})
    check("MQ" in guest.wait_ready(), "the guest has one queue")
    frames, states = [], []
    for step in ("two", "one", "again"):
        said, = guest.hear("(.*)", ANSWER_SECONDS)
        check(said == f"step {step}", f"the guest: {said}")
        _, rings, asked = hardware.ask()
        frames.append(rings[3]["frames"])
        states.append(asked["vring_state"])
        guest.send("go")
    check(frames[0] > 0 and frames[1] == frames[0] and frames[2] > frames[1], f"frames of the second pair: {frames}")
    check(states[0] < states[1] < states[2], f"rings were switched {states} times")
    check(asked["conf"] == 1, f"the driver was asked {asked}")
    guest.finish()
    check_end(hardware)


def run_migration(bench, words="-", device=""):
    """Boot, let pings flow, migrate, let pings flow through another device."""
    socket, other = bench.path("first.sock"), bench.path("second.sock")
    first, second = Hardware(bench, "first", socket, 1, words), Hardware(bench, "second", other, 1, words)
    guest, monitor = migrate_guest.start_guest(bench, "source", socket, {"INDIRECT_DESC", "EVENT_IDX"}, [],
                                               device=device)
    guest.wait_ready()
    before, = guest.hear("sum ([0-9a-f]+) .*", migrate_guest.STEP_SECONDS)
    path = bench.path("guest")
    moved, target = migrate_guest.start_guest(bench, "target", other, {"INDIRECT_DESC", "EVENT_IDX"},
                                              incoming_arguments(path), device=device)
    guest.hear("flowing", migrate_guest.STEP_SECONDS)
    migrate(monitor, target, path)
    monitor.execute("quit")
    check_moved(first, second, words)
    migrate_guest.finish_move(guest, moved, before, ())
    for hardware in (first, second):
        check_end(hardware)


def check_moved(first, second, words):
    """The first has relayed and logged while the guest left, the second has all since."""
    state, rings, _ = first.ask()
    check(state["running"] == 0, f"the first: {state}")
    for number, ring in enumerate(rings):
        check(ring["relayed"] > 0, f"the first, ring {number}, has relayed nothing: {ring}")
        check(ring["refused"] == 0 and ring["broken"] == 0, f"the first, ring {number}: {ring}")
    wait_until(lambda: second.ask()[0]["running"], ANSWER_SECONDS, "the second to run")
    state, _, asked = second.ask()
    check(state["doorbells"] == ("doorbells" in words), f"the second: {state}")
    check(asked["migration_done"] <= 1, f"the second was asked {asked}")


def cases():
    """Name and function of each case."""
    yield "vdpa", run_case
    yield "vdpa-direct-flags", lambda bench: run_case(bench, event_idx=False)
    yield "vdpa-relay", lambda bench: run_case(bench, "relay")
    yield "vdpa-relay-direct-flags", lambda bench: run_case(bench, "relay", event_idx=False)
    yield "vdpa-2q", lambda bench: run_case(bench, pairs=2)
    yield "vdpa-doorbells", lambda bench: run_case(bench, "doorbells", device=DOORBELLS)
    yield "vdpa-doorbells-2q", lambda bench: run_case(bench, "doorbells", 2, DOORBELLS)
    yield "vdpa-channels", run_channels
    yield "vdpa-channels-doorbells", lambda bench: run_channels(bench, "doorbells", DOORBELLS)
    yield "vdpa-migrate", run_migration
    yield "vdpa-migrate-doorbells", lambda bench: run_migration(bench, "doorbells", DOORBELLS)

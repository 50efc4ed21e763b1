# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""How dpdk-vhost starts and ends: options, signals, sockets that are there already, and building it alone."""

import os
import re
import shutil
import signal
import socket
import subprocess

import vswitch
from processes import Failure, check, need_programs, wait_until
from station import Station
from vswitch import VhostSwitch

HERE = os.path.dirname(os.path.realpath(__file__))
SOURCES = os.path.normpath(os.path.join(HERE, "../../../examples/vhost"))
RUN_SECONDS = 30
FILE = "a-file"
# Names that users of the upstream sample know, and those of this one.
KNOWN = ("-p", "-P", "--vm2vm", "--rx-retry", "--rx-retry-delay", "--rx-retry-num", "--mergeable", "--stats",
         "--socket-file", "--client", "--tso", "--tx-csum", "--total-num-mbufs", "--dmas",
         "--pmd-cpu-mask", "--rxq-assign", "--rxq-affinity")
# Values that no option with this kind of value takes.
NO_NUMBER = ("", "abc", "-1", "1x", "99999999999999999999")
NO_FLAG = NO_NUMBER + ("2",)
NO_MASK = ("", "xyz", "0x", "-1", "0x123456789abcdef0123456789abcdef0123456789abcdef")
# Bad values of one option each. {dir} is the case's folder.
BAD_VALUES = {
    "--socket-file": ("", "{dir}/" + 120 * "x", "{dir}/"),
    "-p": NO_MASK + ("0x8",),
    "--vm2vm": NO_NUMBER + ("3",),
    "--rx-retry": NO_FLAG,
    "--rx-retry-delay": NO_NUMBER,
    "--rx-retry-num": NO_NUMBER,
    "--mergeable": NO_FLAG,
    "--tx-csum": NO_FLAG,
    "--tso": NO_FLAG,
    "--gro": NO_FLAG,
    "--stats": NO_NUMBER,
    "--total-num-mbufs": NO_NUMBER + ("0", "1"),
    "--dmas": ("txd0@0000:00:04.0", "", "txd0", "xd0@null", "[txd0@]", "txd999@null", "[]"),
    "--pmd-cpu-mask": NO_MASK + ("0", "0x1", "0x10"),
    "--rxq-assign": ("", "fastest"),
    "--rxq-affinity": ("", "vhost0", "vhost0:0", "vhost0:x:1", "vhost0:0:x", "vhost0:0:77", "vhost0:0:0",
                       "vhost0:99:1", ":0:1", "vhost0:0:1,", "vhost0:0:1:1"),
    "--queues": NO_NUMBER + ("0", "9"),
    "--mac-age": NO_NUMBER,
    "--mac-entries": NO_NUMBER + ("0",),
}
# What is well said but cannot be had; each with a word that the complaint has to hold.
IMPOSSIBLE = (
    (("--socket-file={dir}/no-such-folder/vhost0",), "{dir}/no-such-folder/vhost0"),
    (("--socket-file={dir}/" + FILE,), "{dir}/" + FILE),
    (("--socket-file={dir}",), "{dir}"),
    (("--socket-file={dir}/a", "--vm2vm=2"), "vm2vm"),
)
# What else can be wrong; each with a word that the line has to hold.
BAD_LINES = (
    (("--no-such-option",), "no-such-option"),
    (("-z",), "z"),
    (("something",), "something"),
    (("--client",), "--socket-file"),
    (("--socket-file",), "socket-file"),
    (("--socket-file={dir}/a", "--socket-file={dir}/a"), "{dir}/a"),
    (tuple(f"--socket-file={{dir}}/{number}" for number in range(129)), "128"),
)


def run_once(bench, options, lcores="0@0,1@0"):
    """Start it with these options, which it should refuse or only answer; what it did."""
    command = [vswitch.program(bench.library), "--no-pci", "--no-huge", "-m", "64", "--lcores", lcores,
               "--no-telemetry", "--file-prefix=options", "--", *options]
    environment = {**os.environ, **bench.library.environment(), "RUNTIME_DIRECTORY": bench.directory}
    try:
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=RUN_SECONDS,
                              stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise Failure(f"{' '.join(options)}: it runs") from None


def fault_of_refusal(done, word):
    """What is wrong with how an option was refused, or None."""
    if done.returncode != 1:
        return f"exit status {done.returncode}"
    complaints = [line for line in done.stderr.splitlines() if line.startswith("dpdk-vhost: ")]
    if len(complaints) != 1:
        return f"{len(complaints)} lines of complaint: {complaints}"
    if word not in complaints[0]:
        return f"no \"{word}\" in \"{complaints[0]}\""
    after = (done.stdout + done.stderr.partition(complaints[0])[2]).strip().splitlines()
    return None if len(after) == 1 and after[0].startswith("usage: ") else f"instead of a line of usage: {after}"


def check_refusals(bench, rows):
    """Each of these (options, word) is refused in one clear line."""
    with open(bench.path(FILE), "w", encoding="ascii") as file:
        file.write("not a socket")
    faults = []
    for options, word in rows:
        options = [option.replace("{dir}", bench.directory) for option in options]
        fault = fault_of_refusal(run_once(bench, options), word.replace("{dir}", bench.directory))
        if fault:
            faults.append(f"{' '.join(options)[:100]}: {fault}")
        check(os.path.isfile(bench.path(FILE)), f"{options}: it has removed a file that is no socket")
    check(not faults, f"{len(faults)} of {len(rows)}: " + "; ".join(faults))


def run_bad_values(bench, option):
    """Values that an option does not take; the line names the option."""
    check_refusals(bench, [((option, value), option.lstrip("-")) for value in BAD_VALUES[option]])


def run_bad_lines(bench):
    """Options that are not there, and options that do not go together."""
    check_refusals(bench, BAD_LINES)


def run_impossible(bench):
    """What the machine does not allow is told, nothing is left, and what was there is there still."""
    with open(bench.path(FILE), "w", encoding="ascii") as file:
        file.write("not a socket")
    for options, word in IMPOSSIBLE:
        options = [option.replace("{dir}", bench.directory) for option in options]
        check_impossible(run_once(bench, options), options, word.replace("{dir}", bench.directory))
        check(os.path.isfile(bench.path(FILE)), f"{options}: it has removed a file that is no socket")
        check(not vswitch.is_socket(bench.path("a")), f"{options}: a socket is left behind")


def check_impossible(done, options, word):
    """It has ended with status 1 and said why."""
    check(done.returncode == 1, f"{options}: exit status {done.returncode}")
    lines = [line for line in done.stderr.splitlines() if re.match("dpdk-vhost: |VHOST_SWITCH: ", line)]
    check(any(word in line for line in lines), f"{options}: no \"{word}\" in {lines}")


def run_one_lcore(bench):
    """Without an lcore to poll there is nothing it could do."""
    fault = fault_of_refusal(run_once(bench, [], lcores="0"), "lcore")
    check(not fault, fault)


def run_help(bench):
    """The usage text names every option."""
    done = run_once(bench, ["--help"])
    check(done.returncode == 0, f"exit status {done.returncode}")
    text = done.stdout + done.stderr
    check_usage(text)
    # EAL's own --help, which needs no "--"
    done = subprocess.run([vswitch.program(bench.library), "--help"], env={**os.environ, **bench.library.environment()},
                          capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
    check(done.returncode == 0 and "--lcores" in done.stdout, f"EAL's --help: {done}")
    check_usage(done.stdout)


def check_usage(text):
    missing = [option for option in KNOWN if not re.search(rf"(^|[\s,\[]){option}\b", text, re.M)]
    check(not missing, f"the usage text lacks {' '.join(missing)}")


def run_every_option(bench):
    """All options at once, with values of which each is the smallest, the largest or an unusual one."""
    switch = VhostSwitch(bench, ["vhost0", "vhost1"], [
        "-p", "0x1", "-P", "--vm2vm=1", "--rx-retry=1", "--rx-retry-delay=0", "--rx-retry-num=0", "--mergeable=0",
        "--tx-csum=0", "--tso=0", "--gro=1", "--stats=1", "--total-num-mbufs=20000", "--pmd-cpu-mask=0x6",
        "--rxq-assign=cycles", "--rxq-affinity=vhost0:0:1,vhost1:0:2", "--rxq-affinity=net_ring0:0:1",
        "--queues=8", "--mac-age=1", "--mac-entries=64"], workers=3, eal=["--vdev=net_ring0"]).ready()
    check(sorted(switch.ask("/vhost_switch/lcores")) == [1, 2], "lcores are not those of --pmd-cpu-mask")
    queue, = switch.queues("net_ring0")
    check(queue["lcore"] == 1 and queue["pinned"], f"--rxq-affinity is not followed: {queue}")
    # The table of rates.
    switch.expect(r"net_ring0", 10)
    switch.stop()


def run_signal(bench, number):
    """A signal ends it with guests there; they see it, and sockets are gone."""
    switch = VhostSwitch(bench, ["vhost0", "vhost1"], workers=1).ready()
    station = Station(bench, "station", bench.path("vhost0"), 1).ready()
    switch.wait_guests(["vhost0"])
    switch.stop(number)
    wait_until(lambda: "Link status: down" in station.command("show port info 0"), 20, "the guest to see its link down")
    # It would send to a socket that is closed, and die of that.
    station.kill()


def run_quit(bench):
    """The prompt answers each of its commands, and "quit" ends the switch."""
    switch = VhostSwitch(bench, ["vhost0"], ["--interactive"]).ready()
    Station(bench, "station", bench.path("vhost0"), 1).ready()
    switch.wait_guests(["vhost0"])
    for command, answer in (("pmd-rxq-show", r"port: vhost0\s+queue-id:\s+0 \(enabled\)"),
                            ("guests-show", "vhost0"), ("stats-show", "balance 0"), ("fdb-show", "."),
                            ("fdb-flush", "."), ("rxq-affinity vhost0 0 1", "."), ("pmd-rxq-show", "isolated : true"),
                            ("rxq-affinity vhost0 0 none", "."), ("pmd-rxq-rebalance", "."), ("help", "pmd-rxq-show"),
                            ("socket-restart vhost0", "there is no such socket"),
                            ("pmd-rxq-show", "isolated : false")):
        switch.skip_to_end()
        switch.send(command)
        switch.expect(answer, 10)
    for nonsense in ("no-such-command", "rxq-affinity", "rxq-affinity nobody 0 1", "rxq-affinity vhost0 99 1",
                     "rxq-affinity vhost0 0 99", "rxq-affinity vhost0 x y", 3000 * "x", "\x01\x02"):
        switch.send(nonsense)
    switch.send("quit")
    switch.finish()
    check(not vswitch.is_socket(bench.path("vhost0")), "the socket is left behind")


def run_stale_socket(bench):
    """Sockets of a killed run are replaced."""
    first = VhostSwitch(bench, ["vhost0", "vhost1"], name="first").ready()
    first.kill()
    check(vswitch.is_socket(bench.path("vhost0")), "a killed switch leaves its socket")
    switch = VhostSwitch(bench, ["vhost0", "vhost1"], name="second").ready()
    station = Station(bench, "station", bench.path("vhost0"), 1).ready()
    switch.wait_guests(["vhost0"])
    station.leave()
    switch.stop()


def run_socket_in_use(bench):
    """A socket on which somebody listens is refused, and its owner not disturbed."""
    path = bench.path("vhost0")
    with socket.socket(socket.AF_UNIX) as owner:
        owner.bind(path)
        owner.listen()
        done = run_once(bench, [f"--socket-file={bench.path('free')}", f"--socket-file={path}"])
        check_impossible(done, path, path)
        check(not vswitch.is_socket(bench.path("free")), "the other socket is left behind")
        with socket.socket(socket.AF_UNIX) as guest:
            guest.connect(path)


def run_build_alone(bench):
    """make in a folder of its own, with Debian's headers; it runs on Debian's library and on ours."""
    need_programs("make", "cc", "pkg-config")
    folder = bench.path("alone")
    shutil.copytree(SOURCES, folder, ignore=shutil.ignore_patterns("build"))
    done = subprocess.run(["make", "-C", folder, "-j2"], capture_output=True, text=True, timeout=180)
    check(done.returncode == 0, f"make: {(done.stderr or done.stdout)[-300:]}")
    check("warning:" not in done.stderr, f"make: {done.stderr[-300:]}")
    for environment in ({}, bench.library.environment()):
        done = subprocess.run([os.path.join(folder, "build/dpdk-vhost"), "--no-huge", "-m", "64", "--no-pci",
                               "--no-telemetry", "--file-prefix=alone", "--lcores", "0@0,1@0", "--", "--help"],
                              env={**os.environ, "RUNTIME_DIRECTORY": bench.directory, **environment},
                              capture_output=True, text=True, timeout=RUN_SECONDS)
        check(done.returncode == 0, f"it does not run: {done.stderr[-300:]}")


def cases():
    """Name and function of each case."""
    for option in BAD_VALUES:
        yield f"options-bad{option}", lambda bench, o=option: run_bad_values(bench, o)
    yield "options-bad-lines", run_bad_lines
    yield "options-impossible", run_impossible
    yield "options-one-lcore", run_one_lcore
    yield "options-help", run_help
    yield "options-all-at-once", run_every_option
    yield "options-sigint", lambda bench: run_signal(bench, signal.SIGINT)
    yield "options-sigterm", lambda bench: run_signal(bench, signal.SIGTERM)
    yield "options-prompt", run_quit
    yield "options-stale-socket", run_stale_socket
    yield "options-socket-in-use", run_socket_in_use
    yield "options-build-alone", run_build_alone

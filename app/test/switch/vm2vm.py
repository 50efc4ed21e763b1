# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Guests that send to each other at full speed: what arrives is what was sent, and nothing is lost unseen."""

import itertools

import frames
import traffic
from processes import check, wait_until
from station import Station
from testpmd_virtio_user import allow_jumbo
from vswitch import VhostSwitch

FRAMES = 6000
RUN_SECONDS = 60
# So patient that a full ring never loses a frame.
PATIENT = ("--rx-retry=1", "--rx-retry-delay=1000", "--rx-retry-num=1000")
IMPATIENT = ("--rx-retry=0",)
# One DMA device, in software, for both guests and both directions.
SKELETON = "--vdev=dma_skeleton0"
DMAS = "--dmas=[" + ",".join(f"{way}d{socket}@dma_skeleton0" for socket in (0, 1) for way in ("tx", "rx")) + "]"


def streams(source, destinations, queues, longest):
    """Frames of one station: one stream for each queue, which goes to all destinations in turn."""
    batches = []
    for queue in range(queues):
        parts = [traffic.make(traffic.mac(source), traffic.mac(destination), f"{source}.{queue}>{destination}",
                              FRAMES // queues // len(destinations), longest) for destination in destinations]
        batches.append([frame for row in zip(*parts) for frame in row])
    return batches


def addressed_to(number, batches):
    """Those of the frames that are for this station."""
    return [[frame for frame in batch if frame[:6] == traffic.mac(number)] for batch in batches]


def start_stations(bench, switch, sent, **options):
    """A station for each key of `sent`, connected but not sending yet."""
    server = "--client" in switch.options
    stations = {number: Station(bench, f"station{number}", bench.path(f"vhost{number}"), number,
                                bulk=batches, queues=len(batches), server=server, **options)
                for number, batches in sent.items()}
    for station in stations.values():
        station.ready()
    return stations


def wait_sent(sent, stations):
    """Wait until every station has sent all it has."""
    for number, station in stations.items():
        total = sum(map(len, sent[number]))
        wait_until(lambda s=station, t=total: s.sent_count() == t, RUN_SECONDS,
                   f"{total} frames sent by {station.name}")


def check_received(sent, stations):
    """Everything that arrived is unharmed and in order; how much of it is missing."""
    missing = 0
    for number, station in stations.items():
        for other in stations.keys() - {number}:
            arrived = [[frame for frame in batch if frame[:12] == station.address + traffic.mac(other)]
                       for batch in station.received_by_queue()]
            missing += traffic.lost(addressed_to(number, sent[other]), arrived, f"{other} to {number}")
    return missing


def check_dma(info, used):
    """At rest nothing is in flight, and a DMA device was what --dmas said."""
    check(info["in_flight"] == 0, f"{info['in_flight']} packets in flight")
    check((info["dma_tx"], info["dma_rx"]) == ((0, 0) if used else (-1, -1)), f"DMA devices: {info}")


def exchange(bench, sent, options, workers=1, jumbo=False, eal=(), **station_options):
    """Let all stations send all their frames at once; the switch's totals, and how many frames are missing."""
    switch = VhostSwitch(bench, [f"vhost{number}" for number in sent], options, workers=workers, eal=eal).ready()
    stations = start_stations(bench, switch, sent, **station_options)
    if jumbo:
        for station in stations.values():
            allow_jumbo(station)
    switch.wait_guests([f"vhost{number}" for number in sent])
    for station in stations.values():
        station.begin()
    wait_sent(sent, stations)
    totals = switch.settled_totals()
    for number, station in stations.items():
        wait_until(lambda s=station, n=number: s.received_count() == switch.info(f"vhost{n}")["counters"]["tx_packets"],
                   RUN_SECONDS, f"{station.name} to take what the switch has put on its ring")
        wait_until(lambda s=station: len(s.received()) == s.received_count(), RUN_SECONDS,
                   f"the file of {station.name}")
    switch.audit({f"vhost{number}": station for number, station in stations.items()})
    for number in sent:
        check_dma(switch.info(f"vhost{number}"), bool(eal))
    missing = check_received(sent, stations)
    for station in stations.values():
        station.leave()
    check(switch.stop()["received"] == totals["received"], "packets after the last one")
    return totals, missing


def run_pair(bench, packed, mergeable, queues, options=PATIENT, eal=()):
    """Two guests; nothing may get lost at all."""
    longest = frames.LONGEST_JUMBO if mergeable else frames.LONGEST_STANDARD
    sent = {1: streams(1, [2], queues, longest), 2: streams(2, [1], queues, longest)}
    totals, missing = exchange(bench, sent, options, packed=packed, mergeable=mergeable, jumbo=mergeable,
                               eal=eal)
    check(not missing and not totals["dropped"], f"{missing} frames missing: {totals}")
    check(totals["received"] == sum(len(batch) for batches in sent.values() for batch in batches),
          f"not all that was sent was received: {totals}")


def run_impatient(bench, packed):
    """Without patience frames get lost, and each one is counted."""
    sent = {1: streams(1, [2], 1, frames.LONGEST_STANDARD), 2: streams(2, [1], 1, frames.LONGEST_STANDARD)}
    totals, missing = exchange(bench, sent, IMPATIENT, packed=packed)
    check(missing == totals["dropped"] == totals["drops"]["ring_full"], f"{missing} frames missing: {totals}")


def run_mesh(bench):
    """Four guests, each sending to all others, over two polling lcores."""
    everybody = range(1, 5)
    sent = {number: streams(number, [other for other in everybody if other != number], 1, frames.LONGEST_STANDARD)
            for number in everybody}
    totals, missing = exchange(bench, sent, PATIENT, workers=2)
    check(not missing and not totals["dropped"], f"{missing} frames missing: {totals}")


def run_vm2vm_off(bench):
    """--vm2vm 0: guests do not reach each other, and that is counted."""
    sent = {1: streams(1, [2], 1, frames.LONGEST_STANDARD), 2: streams(2, [1], 1, frames.LONGEST_STANDARD)}
    totals, missing = exchange(bench, sent, ["--vm2vm=0"])
    check(missing == 2 * FRAMES and totals["sent"] == 0, f"frames crossed: {totals}")
    reasons = {reason for reason, count in totals["drops"].items() if count}
    check(reasons <= {"vm2vm_off", "no_destination"}, f"dropped for {reasons}")


def cases():
    """Name and function of each case."""
    for packed, mergeable, queues in itertools.product((False, True), (False, True), (1, 4)):
        name = f"vm2vm-{'packed' if packed else 'split'}-{'mergeable' if mergeable else 'plain'}-{queues}q"
        yield name, lambda bench, p=packed, m=mergeable, q=queues: run_pair(bench, p, m, q)
    for packed, mergeable in itertools.product((False, True), (False, True)):
        name = f"vm2vm-dma-{'packed' if packed else 'split'}-{'mergeable' if mergeable else 'plain'}"
        yield name, lambda bench, p=packed, m=mergeable: run_pair(bench, p, m, 2, (*PATIENT, DMAS), (SKELETON,))
    yield "vm2vm-client", lambda bench: run_pair(bench, False, True, 1, (*PATIENT, "--client"))
    yield "vm2vm-split-impatient", lambda bench: run_impatient(bench, False)
    yield "vm2vm-packed-impatient", lambda bench: run_impatient(bench, True)
    yield "vm2vm-mesh", run_mesh
    yield "vm2vm-off", run_vm2vm_off

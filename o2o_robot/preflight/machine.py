"""Can this computer keep up: disk, load, processor, network buffers, shared memory, time?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from o2o_robot.preflight.facts import GraphFacts, MachineFacts
from o2o_robot.preflight.finding import Finding, Level, graded, unknown
from o2o_robot.preflight.wanted import Wanted, image_topic

DEFAULT_SEGMENT_BYTES = 512 * 1024  # Fast DDS 3, shared memory transport
_LITTLE_DISK, _NO_DISK = 20e9, 2e9
_HOUR_S = 3600.0


def disk(machine: MachineFacts, needed_bytes_s: float) -> Finding:
    """Free space where the run goes, in hours of recording at the rate measured."""
    free, hours = machine.free_bytes, machine.free_bytes / max(needed_bytes_s, 1.0) / _HOUR_S
    told = f"{free / 1e9:.1f} GB" + (f", {hours:.1f} h at {needed_bytes_s / 1e6:.1f} MB/s" if needed_bytes_s else "")
    remedy = "Free some space, or choose another disk with --run-dir."
    is_short = bool(needed_bytes_s) and hours < 1.0
    return graded(
        "disk", told, "> 20 GB and an hour", remedy, red=free < _NO_DISK, yellow=free < _LITTLE_DISK or is_short
    )


def write_speed(machine: MachineFacts, needed_bytes_s: float) -> Finding:
    """Synchronised writes against what the cameras bring."""
    if machine.write_bytes_s is None:
        return Finding(Level.RED, "disk speed", "cannot write", "writable", "Choose a folder you own with --run-dir.")
    speed, remedy = machine.write_bytes_s, "Record to a faster disk, or fewer and smaller images."
    told, allowed = f"{speed / 1e6:.0f} MB/s", f"> {2 * needed_bytes_s / 1e6:.1f} MB/s (twice the images)"
    return graded("disk speed", told, allowed, remedy, red=speed < needed_bytes_s, yellow=speed < 2 * needed_bytes_s)


def load(machine: MachineFacts) -> Finding:
    """Processes that want to run, for each core."""
    share = machine.load_1min / machine.cpus
    remedy = "Stop what else runs here, and learn on another machine or with fewer threads."
    told = f"{machine.load_1min:.1f} on {machine.cpus} cores"
    return graded("load", told, "< 0.8 a core", remedy, red=False, yellow=share >= 0.8)


def governor(machine: MachineFacts) -> Finding:
    """A processor that saves power wakes up late."""
    if not machine.governors:
        return unknown("CPU governor", "this machine tells none")
    told, remedy = ", ".join(machine.governors), "Set it: sudo cpupower frequency-set -g performance."
    return graded("CPU governor", told, "performance", remedy, red=False, yellow=machine.governors != ("performance",))


def shared_memory(machine: MachineFacts, largest_bytes: int) -> Finding:
    """Whether the largest image fits into Fast DDS's shared memory; else it is cut into UDP packets and often lost."""
    segment = machine.profile_segment_bytes or DEFAULT_SEGMENT_BYTES
    whose, largest = machine.profile or "no profile", f"{largest_bytes / 1e6:.2f} MB"
    told = f"segment {segment / 1e6:.1f} MB ({whose}), largest image {largest}"
    remedy = "Set FASTDDS_DEFAULT_PROFILES_FILE to the Fast DDS profile of launch/ for every process of the graph."
    return graded("shared memory", told, "segment > 2 images", remedy, red=False, yellow=2 * largest_bytes >= segment)


def socket_buffer(machine: MachineFacts, largest_bytes: int) -> Finding:
    """Kernel memory for one UDP reader; matters between machines, and where shared memory is too small."""
    if machine.rmem_max_bytes is None:
        return unknown("net.core.rmem_max", "this machine tells none")
    told, remedy = f"{machine.rmem_max_bytes / 1e6:.2f} MB", "Set it: sudo sysctl -w net.core.rmem_max=67108864."
    is_small = largest_bytes > machine.rmem_max_bytes
    return graded("net.core.rmem_max", told, "> the largest image", remedy, red=False, yellow=is_small)


def room_in_shm(machine: MachineFacts) -> Finding:
    """/dev/shm, where every participant keeps a segment."""
    if machine.shm_free_bytes is None:
        return unknown("/dev/shm", "not there")
    least = 16 * (machine.profile_segment_bytes or DEFAULT_SEGMENT_BYTES)
    remedy = "Enlarge it (docker run --shm-size=1g), or remove the leftovers of dead processes (/dev/shm/fastrtps_*)."
    told = f"{machine.shm_free_bytes / 1e6:.0f} MB free"
    is_short = machine.shm_free_bytes < least
    return graded("/dev/shm", told, f"> {least / 1e6:.0f} MB (16 segments)", remedy, red=False, yellow=is_short)


def time_sync(machine: MachineFacts) -> Finding:
    """Whether the system clock follows a time server."""
    if machine.clock_synchronised is None:
        return unknown("time synchronisation", "neither chronyc nor timedatectl tells")
    remedy = "Start chrony on every machine of the cell."
    told = "synchronised" if machine.clock_synchronised else "not synchronised"
    return graded(
        "time synchronisation", told, "synchronised", remedy, red=False, yellow=not machine.clock_synchronised
    )


def versions(machine: MachineFacts, graph: GraphFacts | None) -> Iterator[Finding]:
    """What runs here, for the record."""
    found: Mapping[str, str] = {**machine.versions, **(graph.versions if graph else {})}
    yield Finding(Level.GREEN, "versions", ", ".join(f"{name} {value}" for name, value in found.items()))


def needed_bytes_s(graph: GraphFacts | None, wanted: Wanted) -> float:
    """What recording every image brings, at the rates asked for."""
    pictures = graph.pictures if graph else ()
    return sum(p.n_bytes * wanted.stream(image_topic(p.camera)).hz for p in pictures)


def largest_image(graph: GraphFacts | None) -> int:
    """Bytes of the largest image seen, 0 for none."""
    return max((p.n_bytes for p in (graph.pictures if graph else ())), default=0)

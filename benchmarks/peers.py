"""Train the same networks in minidl, PyTorch and Keras on this machine; print their times, memory, and the ratios.

    pip install torch keras jax        # by hand: minidl never needs them
    python benchmarks/peers.py

PyTorch runs eagerly, Keras on JAX. Every framework has a process of its own, in turn, for several rounds, so that a
busy moment of the machine hits all of them alike; a round's time is the median of its epochs. `workloads.py` has the
networks and the training loops.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workloads import WORKLOADS, Workload

NAMES = {"minidl": "minidl", "torch": "PyTorch", "keras": "Keras"}
HERE = Path(__file__).parent

# By framework, what `workloads.measure` gave in every round.
Results = dict[str, list[dict[str, Any]]]


def environment(threads: int) -> dict[str, str]:
    """The variables of a turn: so many threads in OpenBLAS, PyTorch and XLA, and minidl as it stands here."""
    path = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")]))
    counts = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")
    return os.environ | {"PYTHONPATH": path, "KERAS_BACKEND": "jax"} | dict.fromkeys(counts, str(threads))


def turn(framework: str, workload: Workload, threads: int, **options: Any) -> dict[str, Any] | None:
    """What `workloads.measure` gives in a fresh interpreter; None, with a message, if it fails."""
    task = {"framework": framework, "workload": dataclasses.asdict(workload), **options}
    command = [sys.executable, str(HERE / "workloads.py"), json.dumps(task)]
    result = subprocess.run(command, capture_output=True, text=True, env=environment(threads))
    if result.returncode:
        reason = (result.stderr.strip() or f"exit code {result.returncode}").splitlines()[-1]
        print(f"{framework}: {reason:.200}", file=sys.stderr)
        return None
    measured: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return measured


def compare(workload: Workload, frameworks: Sequence[str], rounds: int, threads: int, **options: Any) -> Results:
    """All frameworks in turn, for so many rounds; one that fails is left out of the following rounds."""
    results: Results = {name: [] for name in frameworks}
    for _ in range(rounds):
        for name in list(results):
            measured = turn(name, workload, threads, **options)
            if measured is None:
                del results[name]
            else:
                results[name].append(measured)
    return results


def times(turns: Sequence[Mapping[str, Any]]) -> list[float]:
    """Milliseconds a step in every round, in ascending order."""
    return sorted(statistics.median(turn["ms_per_step"]) for turn in turns)


def peak(turns: Sequence[Mapping[str, Any]]) -> float:
    """The peak memory in MB, the median of the rounds."""
    return statistics.median(turn["peak_mb"] for turn in turns)


def fastest_peer(results: Results) -> str | None:
    """The name of the fastest framework that is not minidl."""
    peers = [name for name in results if name != "minidl"]
    return min(peers, key=lambda name: statistics.median(times(results[name])), default=None)


def ahead_by(results: Results) -> float | None:
    """The time of the fastest peer over minidl's."""
    peer = fastest_peer(results)
    if peer is None or "minidl" not in results:
        return None
    return statistics.median(times(results[peer])) / statistics.median(times(results["minidl"]))


def header(frameworks: Sequence[str]) -> str:
    """The first two lines of the table."""
    names = [NAMES[name] for name in frameworks]
    cells = ["workload", *names, "ahead by", "goal", *(f"{name}, MB" for name in names), "memory"]
    return f"| {' | '.join(cells)} |\n{'|---' * len(cells)}|"


def row(name: str, goal: float | None, frameworks: Sequence[str], results: Results) -> str:
    """A line of the table: medians (the fastest to the slowest round), ratios to the fastest peer, peak memory."""
    cells = [name]
    for framework in frameworks:
        ms = times(results.get(framework, []))
        cells.append(f"{statistics.median(ms):.3g} ({ms[0]:.3g} to {ms[-1]:.3g})" if ms else "–")
    ratio, peer = ahead_by(results), fastest_peer(results)
    cells.append("–" if ratio is None else f"{ratio:.2f} ×")
    cells.append("–" if goal is None else f"{goal:.1f} ×")
    cells += [f"{peak(results[framework]):.0f}" if framework in results else "–" for framework in frameworks]
    both = peer is not None and "minidl" in results
    cells.append(f"{peak(results['minidl']) / peak(results[peer]):.2f}" if both else "–")
    return f"| {' | '.join(cells)} |"


def machine() -> str:
    """The processor and the Python that measure."""
    cpuinfo = Path("/proc/cpuinfo")
    models = [line for line in cpuinfo.read_text().splitlines() if "model name" in line] if cpuinfo.exists() else []
    processor = models[0].split(":")[1].strip() if models else platform.processor() or platform.machine()
    return f"{processor}, {os.cpu_count()} cores; Python {platform.python_version()}"


def parser(description: str) -> argparse.ArgumentParser:
    """The options that all comparisons have."""
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    present = [name for name in NAMES if name == "minidl" or importlib.util.find_spec(name)]
    options.add_argument("--frameworks", nargs="+", choices=NAMES, default=present, help="those that are installed")
    options.add_argument("--rounds", type=int, default=3, help="how often every framework has its turn (%(default)s)")
    options.add_argument("--seconds", type=float, default=2.0, help="how long a turn is, warmed up (%(default)s)")
    options.add_argument("--steps", type=int, help="how long a turn is, in steps instead of seconds")
    options.add_argument("--threads", type=int, default=os.cpu_count(), help="of each framework (one a core)")
    options.add_argument("--json", type=Path, metavar="FILE", help="where to write all that was measured")
    return options


def main() -> None:
    """Compare the chosen workloads and print a Markdown table, a line as soon as it is known."""
    options = parser(__doc__)
    options.add_argument("--workload", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="NAME",
                         help=f"among {', '.join(WORKLOADS)} (all)")  # fmt: skip
    options.add_argument("--train-on-batch", action="store_true", help="minidl and Keras: train_on_batch, not fit")
    chosen = options.parse_args()
    print(f"{machine()}; {chosen.threads} threads; ms a step, the median (range) of {chosen.rounds} rounds\n")
    print(header(chosen.frameworks), flush=True)
    everything = {}
    for name in chosen.workload:
        results = compare(
            WORKLOADS[name], chosen.frameworks, chosen.rounds, chosen.threads,
            seconds=chosen.seconds, steps=chosen.steps, train_on_batch=chosen.train_on_batch,
        )  # fmt: skip
        print(row(name, WORKLOADS[name].goal, chosen.frameworks, results), flush=True)
        everything[name] = results
        if chosen.json:
            chosen.json.write_text(json.dumps({"machine": machine(), "results": everything}, indent=1))


if __name__ == "__main__":
    main()

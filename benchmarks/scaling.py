"""How the time of a training step grows with batch size, width, depth and image size, in minidl and its peers.

    python benchmarks/scaling.py --plot scaling.png

prints a table for each and, if asked, draws them (extra `plot`). The defaults are quick, one short turn a framework for
each point, most of which is starting and compiling; `--rounds 5 --seconds 2` gives smoother curves.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from peers import NAMES, Results, ahead_by, compare, machine, parser, times
from workloads import WORKLOADS, Workload

DENSE, CNN = WORKLOADS["dense-128"], replace(WORKLOADS["cnn"], batch_size=16)

# What grows: its values, each with the network.
SWEEPS: dict[str, dict[int, Workload]] = {
    "batch size": {n: replace(DENSE, batch_size=n) for n in (1, 8, 32, 128, 512, 2048)},
    "width": {n: replace(DENSE, units=(n, n)) for n in (16, 64, 256, 1024, 2048)},
    "depth": {n: replace(DENSE, units=(100,) * n, initializer="he_normal") for n in (1, 4, 16, 64)},
    "image size": {n: replace(CNN, inputs=(n, n, 3)) for n in (8, 16, 32, 64)},
}


def table(sweep: str, frameworks: Sequence[str], points: dict[int, Results]) -> str:
    """Milliseconds a step at every point, and the ratio of the fastest peer's to minidl's."""
    cells = [sweep, *(NAMES[name] for name in frameworks), "ahead by"]
    lines = [f"| {' | '.join(cells)} |", "|---" * len(cells) + "|"]
    for value, results in points.items():
        ms = [f"{statistics.median(times(results[name])):.3g}" if name in results else "–" for name in frameworks]
        ratio = ahead_by(results)
        lines.append(f"| {value} | {' | '.join(ms)} | {'–' if ratio is None else f'{ratio:.2f} ×'} |")
    return "\n".join(lines)


def plot(sweeps: dict[str, dict[int, Results]], frameworks: Sequence[str], path: Path) -> None:
    """A log-log curve a framework for every sweep, side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(sweeps), 3.5), layout="constrained")
    for axes, (sweep, points) in zip(figure.subplots(1, len(sweeps), squeeze=False)[0], sweeps.items(), strict=True):
        for name in frameworks:
            known = {value: times(results[name]) for value, results in points.items() if name in results}
            axes.loglog(list(known), [statistics.median(ms) for ms in known.values()], marker="o", label=NAMES[name])
        axes.set(xlabel=sweep, ylabel="ms a step")
        axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measure the chosen sweeps, print a table of each, and plot them."""
    options = parser(__doc__)
    options.set_defaults(rounds=1, seconds=0.5)
    options.add_argument("--sweep", nargs="+", choices=SWEEPS, default=list(SWEEPS), help="what grows (all)")
    options.add_argument("--plot", type=Path, metavar="FILE", help="draw the curves into this file")
    chosen = options.parse_args()
    print(f"{machine()}; {chosen.threads} threads; ms a step, the median of {chosen.rounds} rounds")
    sweeps: dict[str, dict[int, Results]] = {}
    for sweep in chosen.sweep:
        sweeps[sweep] = {
            value: compare(
                workload, chosen.frameworks, chosen.rounds, chosen.threads, seconds=chosen.seconds, steps=chosen.steps
            )
            for value, workload in SWEEPS[sweep].items()
        }
        print(f"\n{table(sweep, chosen.frameworks, sweeps[sweep])}", flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps({"machine": machine(), "results": sweeps}, indent=1))
    if chosen.plot:
        plot(sweeps, chosen.frameworks, chosen.plot)


if __name__ == "__main__":
    main()

"""The picture: errors of every arm by group, a dot for each seed."""

import os
import statistics

from .arms import Plan
from .report import MAIN
from .report import Results
from .report import noise
from .report import values
from .report import verdict

_COLORS = {"": "#4d4d4d", "better": "#1b7837", "worse": "#b2182b"}


def draw(path: str | os.PathLike, plan: Plan, results: Results, title: str) -> None:
  """Writes it; arms without a result are left out."""
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from matplotlib.figure import Figure

  rows = []  # (label, arm), arm None for the name of a group
  for group, found in plan.groups.items():
    there = [(label, name) for label, name in found if results.get(name)]
    if there:
      rows += [(group.replace("_", " ").capitalize(), None), *there]
  figure = Figure(figsize=(12, 1.4 + 0.2 * len(rows)), layout="constrained")
  FigureCanvasAgg(figure)
  axes = figure.subplots(1, len(MAIN), sharey=True, squeeze=False)[0]
  for ax, metric in zip(axes, MAIN, strict=True):
    default = values(results.get("default", []), metric)
    deviation = noise(results, metric)
    if default:
      ax.axvline(statistics.fmean(default), color="#4393c3", lw=1, zorder=0)
      ax.axvspan(min(default), max(default), color="#d1e5f0", lw=0, zorder=-1)
    for y, (_, name) in enumerate(rows):
      if name is None:
        ax.axhline(y - 0.5, color="#dddddd", lw=0.8, zorder=-2)
        continue
      numbers = values(results[name], metric)
      if not numbers:
        continue
      color = _COLORS[verdict(numbers, default, deviation)]
      mean = statistics.fmean(numbers)
      ax.plot(numbers, [y] * len(numbers), "o", ms=4, color=color, alpha=0.55, mew=0)
      ax.plot([mean, mean], [y - 0.32, y + 0.32], color=color, lw=1.6)
    ax.set_xlabel(f"{metric.title} ({metric.unit})")
    ax.xaxis.grid(True, color="#eeeeee", lw=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
      ax.spines[side].set_visible(False)
  first = axes[0]
  first.set_yticks(range(len(rows)), [label for label, _ in rows])
  for text, (_, name) in zip(first.get_yticklabels(), rows, strict=True):
    if name is None:
      text.set_fontweight("bold")
    elif name == "default":
      text.set_color("#2166ac")
  first.set_ylim(len(rows) - 0.5, -0.5)
  figure.suptitle(
    f"{title}\ndots: seeds; bars: means; blue: the default; green and red: better and "
    "worse beyond the spread",
    fontsize=10,
  )
  figure.savefig(path, dpi=130)

"""From results to the Markdown tables: means, spreads, differences to the default."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from .arms import GROUPS
from .arms import Plan
from .runs import OCCLUDED
from .runs import SPLIT

Results = dict[str, list[dict]]  # arm -> results of its seeds


class Metric(NamedTuple):
  """A column.

  Attributes:
    title: of the column.
    unit: of the numbers.
    path: where a result has it.
    decimals: that are shown.
  """

  title: str
  unit: str
  path: tuple[str, ...]
  decimals: int = 1


def _of(title, unit, *path, decimals=1):
  return Metric(title, unit, path, decimals)


# What arms are compared by, in every group.
MAIN = (
  _of("2D", "% of box", "scores", SPLIT, "model", "keypoints_box", decimals=2),
  _of(
    *("2D, occluded", "% of box", "scores", OCCLUDED, "model", "keypoints_box"),
    decimals=2,
  ),
  _of("3D, all views", "mm", "scores", SPLIT, "model", "cmu_p1"),
  _of("3D, all views, occluded", "mm", "scores", OCCLUDED, "model", "cmu_p1"),
)
_RECALL = _of("joints in kept patches", "%", "scores", SPLIT, "model", "kept_recall")
_FEWER = tuple(
  _of(f"3D, {n} view{'s' * (n > 1)}", "mm", "scores", SPLIT, "model", key)
  for n, key in ((1, "cmu_p1_1_views"), (2, "cmu_p1_2_views"), (3, "cmu_p1_3_views"))
)
_STEP = _of("step", "s", "seconds_per_step", decimals=3)
_FLOP = _of("an image", "MFLOP", "mflop_per_image", decimals=2)
# Besides, at the end of a group's table.
MORE = dict(keep=(_RECALL,), views=_FEWER, view_embedding=_FEWER, view_dropout=_FEWER)
# All else that is known, in the table of all arms.
OTHERS = (
  _of("2D", "px", "scores", SPLIT, "model", "keypoints_px", decimals=2),
  *_FEWER,
  MAIN[2],
  _of("3D PA, all views", "mm", "scores", SPLIT, "model", "cmu_p2"),
  _of("DLT on the same 2D", "mm", "scores", SPLIT, "DLT on the same 2D", "cmu_p1"),
  _RECALL,
  _STEP,
  _FLOP,
  _of("parameters", "", "parameters", decimals=0),
)


def values(results: Sequence[dict], metric: Metric) -> list[float]:
  """Of each seed that has it."""
  found = []
  for value in results:
    for key in metric.path:
      value = value.get(key) if isinstance(value, dict) else None
    if value is not None:
      found.append(float(value))
  return found


def spread(numbers: Sequence[float]) -> float:
  """Standard deviation over seeds; NaN of one."""
  return statistics.stdev(numbers) if len(numbers) > 1 else math.nan


def noise(results: Results, metric: Metric) -> float:
  """Standard deviation over seeds, pooled over the arms; NaN if none has two."""
  rows = [values(found, metric) for found in results.values()]
  rows = [row for row in rows if len(row) > 1]
  if not rows:
    return math.nan
  squares = sum(statistics.variance(row) * (len(row) - 1) for row in rows)
  return math.sqrt(squares / sum(len(row) - 1 for row in rows))


def verdict(arm: Sequence[float], default: Sequence[float], noise: float) -> str:
  """Whether an error is better, worse or, empty, the same within the spread.

  It is beyond it if no seed of the one is among the other's and the means are further
  apart than twice the standard error of their difference, by the pooled noise.
  """
  if len(arm) < 2 or len(default) < 2 or not math.isfinite(noise):
    return ""
  apart = statistics.fmean(arm) - statistics.fmean(default)
  error = noise * math.sqrt(1 / len(arm) + 1 / len(default))
  if abs(apart) <= 2 * error:
    return ""
  if max(arm) < min(default):
    return "better"
  return "worse" if min(arm) > max(default) else ""


def cell(numbers: Sequence[float], decimals: int) -> str:
  """Mean and spread."""
  if not numbers:
    return "-"
  text = f"{statistics.fmean(numbers):,.{decimals}f}"
  if len(numbers) > 1 and any(n != numbers[0] for n in numbers):
    text += f" ± {spread(numbers):.{decimals}f}"
  return text


def difference(
  arm: Sequence[float], default: Sequence[float], noise: float, decimals: int
) -> str:
  """Of the means, with the verdict."""
  if not arm or not default:
    return "-"
  apart = statistics.fmean(arm) - statistics.fmean(default)
  word = verdict(arm, default, noise)
  return f"{apart:+.{decimals}f}" + (f" **{word}**" if word else "")


def markdown(plan: Plan, results: Results, head: Sequence[str]) -> str:
  """The page: facts, a table a group, and one of all arms."""
  lines = ["# Ablations of the multi-view network", "", *head, ""]
  lines += [
    "Errors are on the test split after the last step: mean ± standard deviation over "
    "seeds, then the difference to the arm `default`. A difference is called better or "
    "worse only if no seed of the one is among the other's and it exceeds twice its "
    "standard error, by the standard deviation of seeds pooled over all arms "
    f"({_noises(results)}). With so many comparisons some will exceed it by chance. "
    "Occluded: a white square of 15 % of the box over each joint with a chance of 10 "
    "%. The time of a step is the median of a run's log; other work on the machine "
    "lengthens it.",
    "",
    f"The mean pose of the training data scores {_baselines(results)}.",
    "",
  ]
  for group, rows in plan.groups.items():
    lines += [f"## {group.replace('_', ' ').capitalize()}", "", GROUPS[group], ""]
    lines += [*_table(_group_rows(group, rows, results)), ""]
  rows = [["arm", *map(_title, OTHERS)]]
  for arm in plan.arms:
    found = results.get(arm.name, [])
    cells = [cell(values(found, m), m.decimals) for m in OTHERS]
    rows.append([f"`{arm.name}`", *cells])
  lines += ["## All arms", "", *_table(rows), ""]
  lines += ["What each changes in the base config:", ""]
  for arm in plan.arms[1:]:
    changes = ", ".join(f"`{key}={value}`" for key, value in arm.overrides.items())
    lines.append(f"- `{arm.name}`: {changes}")
  return "\n".join(lines) + "\n"


def _title(metric: Metric) -> str:
  return f"{metric.title} ({metric.unit})" if metric.unit else metric.title


def _noises(results) -> str:
  parts = ((m, noise(results, m)) for m in MAIN)
  return "; ".join(f"{m.title}: {n:.{m.decimals}f} {m.unit}" for m, n in parts)


def _baselines(results) -> str:
  """What the mean pose of the training data gives."""
  found = next(filter(None, results.values()), [])
  parts = []
  for metric in MAIN:
    path = tuple("mean pose" if key == "model" else key for key in metric.path)
    numbers = values(found, metric._replace(path=path))
    parts.append(f"{metric.title}: {cell(numbers[:1], metric.decimals)} {metric.unit}")
  return "; ".join(parts)


def _group_rows(group, rows, results) -> list[list[str]]:
  head = ["arm"]
  for metric in MAIN:
    head += [_title(metric), "Δ"]
  more = (*MORE.get(group, ()), _STEP, _FLOP)
  table = [[*head, *map(_title, more)]]
  default = results.get("default", [])
  for label, name in rows:
    found, cells = results.get(name, []), []
    for metric in MAIN:
      numbers = values(found, metric)
      cells.append(cell(numbers, metric.decimals))
      cells.append(
        ""
        if name == "default"
        else difference(
          numbers, values(default, metric), noise(results, metric), metric.decimals
        )
      )
    for metric in more:
      cells.append(cell(values(found, metric), metric.decimals))
    table.append([label + (" (default)" if name == "default" else ""), *cells])
  return table


def _table(rows: list[list[str]]) -> list[str]:
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

  def line(cells):
    first = f"| {cells[0]:{widths[0]}} |"
    rest = (f" {c:>{w}} |" for c, w in zip(cells[1:], widths[1:], strict=True))
    return first + "".join(rest)

  rule = f"|{'-' * (widths[0] + 2)}|"
  rule += "".join(f"{'-' * (w + 1)}:|" for w in widths[1:])
  return [line(rows[0]), rule, *(line(row) for row in rows[1:])]

"""What an evaluation of a multi-view network found."""

import dataclasses
import os

import numpy as np

from jaxpose import multiview_draw
from jaxpose import multiview_protocols
from jaxpose import multiview_tables
from jaxpose.multiview_data import MultiviewData
from jaxpose.multiview_tables import Scores
from jaxpose.protocols import ProtocolResult


@dataclasses.dataclass(frozen=True)
class MultiviewScored:
  """Outcome of an evaluation.

  Attributes:
    rows: label of a predictor (the baselines, then the model) to its scores by column.
    columns: name of a column -> its title and unit; what a row lacks it cannot do.
    data: the split.
    predicted: of the model with all views, by clip and frame: joints_3d (n, t, j, 3)
      world axes, relative to the root; keypoints_2d (n, t, v, j, 2) crop units; kept
      (n, t, v, k); some of them; scored (n, t) bool, frames that were predicted.
    grid: rows and columns of patches, if there are images.
    results: label of a predictor to its 3D results with all views, by protocol.
    setting: what the numbers depend on besides the protocol.
    missing: a sentence on what cannot be scored, for the split does not know it.
  """

  rows: dict[str, Scores]
  columns: dict[str, tuple[str, str]]
  data: MultiviewData
  predicted: dict[str, np.ndarray]
  grid: tuple[int, int] | None
  results: dict[str, dict[str, ProtocolResult]]
  setting: str
  missing: str = ""

  @property
  def num_frames(self) -> int:
    """Frames that are scored; each has several views."""
    return int(self.predicted["scored"].sum())

  @property
  def numbers(self) -> dict[str, tuple[float, str]]:
    """Of the model: column to score and unit."""
    scores = self.rows[list(self.rows)[-1]]
    return {name: (scores[name], self.columns[name][1]) for name in scores}

  def table(self) -> str:
    """Markdown: a row per predictor, and what is not scored."""
    table = multiview_tables.markdown(self.rows, self.columns)
    return f"{table}\n\n{self.missing}" if self.missing else table

  def describe(self, name: str) -> str:
    """Markdown: what the model's number under a protocol means, and its table."""
    result = self.results[list(self.rows)[-1]][name]
    subjects = [source.subject for source in self.data.sources]
    return multiview_protocols.describe(result, self.setting, subjects)

  def draw(self, path: str | os.PathLike, *, title: str = "") -> None:
    """Writes a picture of the model's poses."""
    multiview_draw.comparison(path, self, title)

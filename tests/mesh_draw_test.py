"""Pictures of bodies: there is a body in them, and the worst frames too."""

import matplotlib.image
import numpy as np
import pytest

from jaxpose.body import body_files
from jaxpose.draw import mesh_draw
from jaxpose.tasks import mesh_scoring
from tests import small_data

BODY = body_files.load("free_small")


def test_a_body_fills_its_picture():
  image = mesh_draw.picture(BODY.template * [1, -1, 1], BODY.faces)
  assert image.shape == (mesh_draw.SIZE, mesh_draw.SIZE, 3)
  drawn = (image < 250).any(-1)
  rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
  size = np.ptp(BODY.template, 0)
  scale = mesh_draw.SIZE / 2.1
  assert np.ptp(rows) == pytest.approx(size[1] * scale, rel=0.05)
  assert np.ptp(columns) == pytest.approx(size[0] * scale, rel=0.05)


def test_from_the_side_it_is_as_wide_as_it_is_deep():
  image = mesh_draw.picture(BODY.template * [1, -1, 1], BODY.faces, azimuth=90.0)
  columns = np.flatnonzero((image < 250).any((0, 2)))
  depth = np.ptp(BODY.template[:, 2])
  assert np.ptp(columns) == pytest.approx(depth * mesh_draw.SIZE / 2.1, rel=0.1)


def test_a_comparison_is_written(tmp_path):
  poses = small_data.mesh_data()
  frames = np.arange(poses.num_frames)
  truth = mesh_scoring.known_bodies(poses, frames)
  error = np.linspace(0.02, 0.2, len(frames))
  path = tmp_path / "bodies.png"
  mesh_draw.comparison(
    path, poses, BODY, truth, truth, frames, error, title="test", columns=2
  )
  image = matplotlib.image.imread(path)
  assert image.shape[0] > 500
  assert (image[..., :3] < 0.9).mean() > 0.02

"""Where a body of a video is put; `predict_video_test` makes the videos."""

import numpy as np
import pytest

from jaxpose import skeletons
from jaxpose.body.meshes import Mesh
from jaxpose.motion import world
from jaxpose.predict import body_video


def walking(count=40) -> Mesh:
  """The resting body before a camera, gliding to the right."""
  rotations = np.tile(np.eye(3, dtype=np.float32), (count, 24, 1, 1))
  rotations[:, 0] = np.diag([1.0, -1, -1])
  moved = np.tile(np.float32([0, 0.3, 4]), (count, 1))
  moved[:, 0] = np.linspace(0, 1, count)
  return Mesh(
    rotations=rotations,
    betas=np.zeros((count, 10), np.float32),
    translation=moved,
    camera=np.ones((count, 3), np.float32),
    crops=np.ones((count, 3), np.float32),
    valid=np.ones(count, bool),
    report="",
    body="free_small",
    image_size=(640.0, 480.0),
    focal=700.0,
    frame_rate=25.0,
  )


@pytest.mark.parametrize("told", [True, False])
def test_a_body_stands_upright_on_the_floor(monkeypatch, told):
  if not told:

    def refuse(*_):
      raise ValueError

    monkeypatch.setattr(world, "place", refuse)
  mesh = walking()
  turn, moved = body_video.placing(mesh)
  np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-6)
  height = (mesh.joints_smpl @ turn + moved[:, None])[..., 2]
  head, hip, foot = (
    skeletons.get("smpl24").index(joint) for joint in ("head", "pelvis", "left_foot")
  )
  assert height[0, head] > height[0, hip] + 0.4 > height[0, foot] + 1
  assert height.min() == pytest.approx(0.05, abs=0.06)
  lowest = (mesh.vertices(slice(0, 1)) @ turn + moved[:1, None])[..., 2].min()
  assert lowest == pytest.approx(0, abs=0.08)

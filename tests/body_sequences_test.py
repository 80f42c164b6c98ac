"""A filmed body: its parameters pose the joints that are stored."""

import numpy as np
import pytest

from jaxpose import body as bodies
from jaxpose import geometry
from jaxpose.body import body_files
from jaxpose.data import sequences
from jaxpose.geometry import cameras
from tests import builder_testing
from tests import small_data

BODY = body_files.load("free_small")


@pytest.fixture(scope="module")
def records():
  return small_data.mesh_records()


def centred(joints):
  root = sequences.BODY_SKELETON.root
  return joints - joints[:, root : root + 1]


def test_records_keep_their_promises(records):
  assert len(records) == 4
  for record in records:
    builder_testing.check_record(record, sequences.BODY_SKELETON)
    frames = len(record["joints_3d"])
    assert record["smpl_pose"].shape == (frames, 24, 3)
    assert record["smpl_pose"].dtype == np.float32
    assert record["betas"].shape == (frames, 10)


def test_the_parameters_pose_the_joints_in_the_cameras_frame(records):
  for record in records:
    rotations = geometry.axis_angle_to_matrix(record["smpl_pose"])
    posed = bodies.pose(BODY, rotations, record["betas"])
    joints = bodies.joints_49(BODY, posed)
    np.testing.assert_allclose(centred(joints), centred(record["joints_3d"]), atol=1e-5)


def test_the_hips_are_where_they_were_put(records):
  for record in records:
    rotations = geometry.axis_angle_to_matrix(record["smpl_pose"])
    posed = bodies.pose(BODY, rotations, record["betas"])
    shift = record["joints_3d"][:, 39] - bodies.joints_49(BODY, posed)[:, 39]
    hips = posed.joints[:, 1:3].mean(1) + shift
    world = cameras.camera_to_world(
      hips[None], record["camera_rotation"], record["camera_position"]
    )[0]
    time = np.arange(len(hips))[:, None]
    np.testing.assert_allclose(world, [0, 0, 0.9] + 0.005 * time, atol=1e-4)

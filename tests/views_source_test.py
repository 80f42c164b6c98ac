"""Which video is which camera's, and whether they fit."""

import json
import shutil

import numpy as np
import pytest

from jaxpose.formats import calibration
from jaxpose.predict import rig_source
from tests import small_views
from tests.frames_test import pictures
from tests.frames_test import uneven


@pytest.fixture
def scene(tmp_path):
  return small_views.scene(tmp_path)


def test_videos_belong_to_the_cameras_of_their_names_in_any_order(scene):
  mixed = scene._replace(folders=[scene.folders[i] for i in (2, 0)])
  rig = small_views.opened(mixed)
  assert rig.names == ("cam2", "cam0")
  np.testing.assert_allclose(rig.position[1], scene.ring[0].position, atol=1e-5)
  assert (rig.count, rig.fps) == (small_views.FRAMES, small_views.FPS)
  assert not rig.told


def test_videos_of_other_names_are_taken_in_order(scene, tmp_path):
  folders = [tmp_path / f"GX0{i}" for i in range(4)]
  for old, new in zip(scene.folders, folders, strict=True):
    shutil.move(old, new)
  rig = small_views.opened(scene._replace(folders=folders))
  assert rig.names == ("cam0", "cam1", "cam2", "cam3")
  assert "taken in order: GX00 cam0, GX01 cam1" in rig.told[0]
  with pytest.raises(ValueError, match="no camera for GX00, GX01, expected one; it"):
    small_views.opened(scene._replace(folders=folders[:2]))


def test_a_camera_that_the_calibration_lacks_is_named(scene, tmp_path):
  stranger = pictures(tmp_path / "cam9", small_views.FRAMES, small_views.SIZE)
  with pytest.raises(
    ValueError, match=r"no camera for cam9, .* cam0, cam1, cam2, cam3"
  ):
    small_views.opened(scene._replace(folders=[scene.folders[0], stranger]))


def test_two_videos_of_one_camera_are_refused(scene):
  twice = scene._replace(folders=[scene.folders[0]] * 2)
  with pytest.raises(ValueError, match="several videos of one camera in cam0, cam0"):
    small_views.opened(twice)


def test_other_lengths_are_refused_unless_the_shortest_is_wanted(scene, tmp_path):
  shutil.rmtree(scene.folders[1])
  pictures(scene.folders[1], 11, small_views.SIZE)
  with pytest.raises(ValueError, match=r"cam1 11, .* or, if they start together, pass"):
    small_views.opened(scene)
  assert small_views.opened(scene, shortest=True).count == 11


def test_one_video_is_refused(scene):
  with pytest.raises(ValueError, match="got 1 video, expected two or more"):
    small_views.opened(scene._replace(folders=scene.folders[:1]))


def test_a_calibration_that_is_not_there_is_told(scene, tmp_path):
  with pytest.raises(FileNotFoundError, match="no such file; expected a calibration"):
    rig_source.opened(scene.folders, tmp_path / "no.toml", fps=25.0)


def test_other_frame_rates_are_refused(scene, monkeypatch):
  rates = iter([25.0, 25.0, 30.0, 25.0])
  opened = rig_source.keypoint_source.opened
  monkeypatch.setattr(
    rig_source.keypoint_source,
    "opened",
    lambda path, fps, even: opened(path, next(rates), even),
  )
  with pytest.raises(ValueError, match=r"frame rates .*cam2 30.*, expected the same"):
    small_views.opened(scene)


def test_pictures_with_an_edge_cut_keep_their_pixels(scene):
  content = json.loads(scene.calibration.read_text())
  for camera in content["cameras"]:
    camera["image_size"] = [small_views.SIZE[0] + 1, small_views.SIZE[1]]
  scene.calibration.write_text(json.dumps(content))
  rig = small_views.opened(scene)
  assert "with its right or lower edge cut" in rig.told[0]
  np.testing.assert_allclose(
    rig.cameras[0].intrinsics[:4], scene.ring[0].intrinsics[:4], rtol=1e-6
  )


def test_smaller_pictures_are_taken_at_their_scale(scene):
  content = json.loads(scene.calibration.read_text())
  for camera in content["cameras"]:
    camera["image_size"] = [2 * n for n in small_views.SIZE]
    camera["K"] = [[2 * k for k in row] for row in camera["K"][:2]] + [[0, 0, 1]]
  scene.calibration.write_text(json.dumps(content))
  rig = small_views.opened(scene)
  assert "at another scale" in rig.told[0]
  np.testing.assert_allclose(
    rig.cameras[0].intrinsics[:2], scene.ring[0].intrinsics[:2], rtol=1e-6
  )


def test_a_world_that_lies_on_its_side_is_told(scene):
  assert "say which does with --up" in small_views.opened(scene, up="y").told[0]


def test_rays_and_pixels_undo_each_other(scene):
  rig = small_views.opened(scene)
  points = small_views.walker()
  rays = rig.rays(rig.pixels(points))
  seen = points[:, None] - rig.position[:, None]
  seen = seen @ rig.rotation.swapaxes(-1, -2)
  np.testing.assert_allclose(rays, seen[..., :2] / seen[..., 2:], atol=1e-9)
  behind = rig.position[0] - rig.rotation[0, 2]
  assert np.isnan(rig.pixels(behind[None])[0]).all()
  assert rig.focal == pytest.approx([c.intrinsics[0] for c in scene.ring], rel=1e-6)


def test_qualisys_files_are_metres_whatever_unit_is_said(tmp_path):
  turn = np.asarray([[0.0, -1, 0], [0, 0, 1], [-1, 0, 0]])
  cells = " ".join(
    f'r{i + 1}{j + 1}="{turn[i, j]}"' for i in range(3) for j in range(3)
  )
  text = f"""<?xml version='1.0' encoding='ASCII'?><calibration><cameras>
  <camera serial="cam01"><fov_video bottom="479" left="0" right="639" top="0"/>
  <transform {cells} x="-3000" y="500" z="1500"/>
  <intrinsic centerPointU="20480" centerPointV="15360" focalLengthU="64000"
  focalLengthV="64064" radialDistortion1="-0.1" radialDistortion2="0.2"
  radialDistortion3="0.3" tangentalDistortion1="0.01" tangentalDistortion2="0.02"/>
  </camera></cameras></calibration>"""
  path = tmp_path / "Calib.qca.txt"
  path.write_text(text)
  assert calibration.find(tmp_path) == path
  for unit in ("m", "mm"):
    (camera,) = calibration.read(path, unit=unit)
    np.testing.assert_allclose(camera.position, [-3, 0.5, 1.5])
    np.testing.assert_allclose(
      camera.matrix, [[1000, 0, 320], [0, 1001, 240], [0, 0, 1]]
    )
    np.testing.assert_allclose(camera.distortion, [-0.1, 0.2, 0.01, 0.02, 0.3])
    assert (camera.name, camera.size) == ("cam01", (640, 480))
    # It looks along +x of the world, to what is there, and is upright.
    np.testing.assert_allclose(camera.rotation @ [1, 0, 0], [0, 0, 1], atol=1e-9)
    np.testing.assert_allclose(camera.rotation @ [0, 0, 1], [0, -1, 0], atol=1e-9)
  path.write_text("<calibration")
  with pytest.raises(ValueError, match="cannot be read as a calibration"):
    calibration.read(path)


def test_frames_stay_as_they_are_for_keypoints_of_another_detector(scene, tmp_path):
  paths = [uneven(tmp_path / f"cam{v}.mp4", small_views.SIZE) for v in range(2)]
  for even in (True, False):
    rig = rig_source.opened(paths, scene.calibration, even=even)
    assert [bool(source.evened) for source in rig.sources] == [even] * 2
    assert rig.count == rig.sources[0].count(exact=True)

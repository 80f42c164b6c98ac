"""The layouts of calibration files."""

import json

import numpy as np
import pytest

from jaxpose import geometry
from jaxpose.formats import calibration
from jaxpose.geometry import cameras


def cameras_of_a_rig():
  """Three cameras round a place, in this data set's own layout."""
  rng = np.random.default_rng(0)
  ring = cameras.camera_ring(rng, np.array([0.2, 0.1, 1.0]), 3, (640, 480))
  found = []
  for camera in ring:
    fx, fy, cx, cy = camera.intrinsics[:4].astype(float).tolist()
    rotation = camera.rotation.astype(float)
    found.append(
      dict(
        name=f"cam{camera.name}",
        K=[[fx, 0, cx], [0, fy, cy], [0, 0, 1]],
        R=rotation.tolist(),
        t=(-rotation @ camera.position).tolist(),
        image_size=list(camera.image_size),
      )
    )
  return found


def position(camera):
  return -np.array(camera["R"]).T @ camera["t"]


def pose2sim(rig):
  """The layout of Pose2Sim's and Anipose's files."""
  lines = []
  for camera in rig:
    lines += [
      f"[{camera['name']}]",
      f'name = "{camera["name"]}"',
      f"size = {[float(n) for n in camera['image_size']]}",
      f"matrix = {camera['K']}",
      "distortions = [0.0, 0.0, 0.0, 0.0]",
      f"rotation = {to_vector(camera['R'])}",
      f"translation = {camera['t']}",
      "fisheye = false",
    ]
  return "\n".join([*lines, "[metadata]", "adjusted = false", "error = 0.0"])


def to_vector(rotation):
  return geometry.matrix_to_axis_angle(np.array(rotation)).tolist()


def easymocap(rig):
  """EasyMocap's two files."""

  def matrix(key, value):
    rows, columns = np.shape(value)
    numbers = ", ".join(f"{x:.9f}" for x in np.ravel(value))
    return (
      f"{key}: !!opencv-matrix\n   rows: {rows}\n   cols: {columns}\n   dt: d\n"
      f"   data: [{numbers}]\n"
    )

  start = "%YAML:1.0\n---\nnames:\n" + "".join(f'   - "{c["name"]}"\n' for c in rig)
  inner, outer = start, start
  for c in rig:
    inner += matrix(f"K_{c['name']}", c["K"])
    inner += matrix(f"dist_{c['name']}", [[0, 0, 0, 0, 0]])
    outer += matrix(f"R_{c['name']}", np.reshape(to_vector(c["R"]), (3, 1)))
    outer += matrix(f"Rot_{c['name']}", c["R"])
    outer += matrix(f"T_{c['name']}", np.reshape(c["t"], (3, 1)))
  return inner, outer


def test_every_layout_says_the_same_cameras(tmp_path):
  rig = cameras_of_a_rig()
  (tmp_path / "Calib_scene.toml").write_text(pose2sim(rig))
  inner, outer = easymocap(rig)
  (tmp_path / "intri.yml").write_text(inner)
  (tmp_path / "extri.yml").write_text(outer)
  by_name = {camera["name"]: camera for camera in rig}
  (tmp_path / "calib.json").write_text(json.dumps(by_name))
  for name in ("Calib_scene.toml", "intri.yml", "calib.json"):
    found = calibration.read(tmp_path / name)
    assert [camera.name for camera in found] == ["cam0", "cam1", "cam2"]
    for v, camera in enumerate(found):
      np.testing.assert_allclose(camera.matrix, rig[v]["K"], atol=1e-5)
      np.testing.assert_allclose(camera.rotation, rig[v]["R"], atol=1e-5)
      np.testing.assert_allclose(camera.position, position(rig[v]), atol=1e-4)


@pytest.mark.parametrize("up", list(calibration.UPS))
def test_other_units_and_axes_become_metres_with_z_up(tmp_path, up):
  turn = calibration.UPS[up]  # of the file's world into ours
  np.testing.assert_allclose(np.linalg.det(turn), 1)
  sign = -1.0 if up.startswith("-") else 1.0
  np.testing.assert_allclose(turn @ (sign * np.eye(3)["xyz".index(up[-1])]), [0, 0, 1])
  rig, true = cameras_of_a_rig(), cameras_of_a_rig()
  for camera in rig:
    camera["R"] = (np.array(camera["R"]) @ turn).tolist()
    camera["t"] = (1000 * np.array(camera["t"])).tolist()
  (tmp_path / "calib.json").write_text(json.dumps(dict(cameras=rig)))
  found = calibration.read(tmp_path / "calib.json", unit="mm", up=up)
  np.testing.assert_allclose(found[1].position, position(true[1]), atol=1e-4)
  np.testing.assert_allclose(found[1].rotation, true[1]["R"], atol=1e-6)


@pytest.mark.parametrize(
  ("name", "content", "sentence"),
  [
    ("calib.toml", "[a", "cannot be read as a calibration"),
    (
      "calib.toml",
      "[a]\nmatrix = []\nfisheye = true",
      "a is a fisheye camera; undistor",
    ),
    ("calib.json", '{"a": {"K": []}}', r"cannot be read as a calibration \(no 'R'\)"),
    ("calib.json", "{}", "got no camera, expected at least one"),
    ("intri.yml", "%YAML:1.0", "cannot be read as a calibration .*extri.yml"),
  ],
)
def test_files_that_are_no_calibration_are_refused(tmp_path, name, content, sentence):
  (tmp_path / name).write_text(content)
  with pytest.raises(ValueError, match=sentence):
    calibration.read(tmp_path / name)

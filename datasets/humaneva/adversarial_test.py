"""Every way in which files can be wrong is refused in a sentence."""

import numpy as np
import pytest

from humaneva import humaneva_dataset_builder as builder
from humaneva import humaneva_dataset_builder_test as prepared
from tests import builder_testing

FILES = {
  builder.POSES: "positions_3d",
  builder.EXACT: "positions_2d",
  builder.DETECTED: "positions_2d",
}


@pytest.mark.parametrize("config", ["gt", "detectron"])
def test_an_empty_folder_is_refused(tmp_path, config):
  (tmp_path / "raw").mkdir()
  message = "raw does not exist or is empty.*Put data_3d_humaneva15.npz, data_2d"
  builder_testing.refused("humaneva", tmp_path, message, config=config)


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_or_malicious_npz_is_refused(tmp_path, name):
  path = tmp_path / "raw" / name
  prepared.write(tmp_path / "raw", **prepared.content())
  whole = path.read_bytes()
  for cut in (100, len(whole) // 2):
    path.write_bytes(whole[:-cut])
    message = rf"{name}: truncated or damaged npz"
    builder_testing.refused("humaneva", tmp_path, message, config="detectron")
  held = {"Train/S1": builder_testing.Malicious(tmp_path / "made")}
  np.savez(path, **{FILES[name]: held})
  message = (
    rf"{name}: {FILES[name]}: refused: it asks for 'posix\.mkdir', .* nothing was"
  )
  builder_testing.refused("humaneva", tmp_path, message, config="detectron")
  assert not (tmp_path / "made").exists()


def with_nan(array):
  array = array.copy()
  array[3, 5] = np.nan
  return array


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (with_nan, "camera 'C2': 1 of 15 frames hold NaN or infinite joints"),
    (lambda p: p[:9], "camera 'C2': got 15 frames of 3D and 9 of 2D"),
  ],
)
def test_what_is_wrong_in_detections_is_said(tmp_path, change, message):
  held = prepared.content()
  views = held["detected"]["Train/S1"]["Walking 1 chunk2"]
  views[1] = change(views[1])
  prepared.write(tmp_path / "raw", **held)
  builder_testing.refused("humaneva", tmp_path, message, config="detectron")


def test_kilometres_are_caught_by_the_legs(tmp_path):
  held = prepared.content()
  for chunks in held["world"].values():
    chunks.update({chunk: joints / 1000 for chunk, joints in chunks.items()})
  prepared.write(tmp_path / "raw", held["world"], held["exact"])
  message = r"got legs of 0\.00086 m, expected about 0\.8 m; the unit"
  builder_testing.refused("humaneva", tmp_path, message)


def test_folders_may_be_named_in_any_script(tmp_path):
  prepared.write(tmp_path / "数据 ü", **prepared.content())
  splits = builder_testing.build_and_read(
    "humaneva", tmp_path / "out", tmp_path / "数据 ü"
  )
  assert len(splits["test"]) == 36

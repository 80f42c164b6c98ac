"""Every way in which files can be wrong is refused in a sentence."""

import pickle
import sys

import numpy as np
import pytest

from aist import aist_dataset_builder_test as annotated
from aist import annotations
from tests import builder_testing

CONFIGS = {"keypoints2d": "keypoints", "keypoints3d": "mesh", "motions": "mesh"}
NAME = annotated.NAMES["test"][0]


@pytest.fixture(autouse=True)
def no_named_folder(monkeypatch):
  monkeypatch.delenv("JAXPOSE_SMPL_DIR", raising=False)


@pytest.mark.parametrize("config", ["keypoints", "mesh", "frames"])
def test_an_empty_folder_is_refused(tmp_path, config):
  (tmp_path / "raw").mkdir()
  message = r"raw does not exist or is empty.*Put the annotations of AIST\+\+"
  builder_testing.refused("aist", tmp_path, message, config=config)


@pytest.mark.parametrize("folder", CONFIGS)
def test_a_damaged_or_malicious_pickle_is_refused(tmp_path, folder):
  path = annotated.write(tmp_path / "raw") / folder / f"{NAME}.pkl"
  whole = path.read_bytes()
  for cut in (1, len(whole) // 2):
    path.write_bytes(whole[:-cut])
    message = rf"{folder}/{NAME}\.pkl: truncated or damaged: it is no pickle of annotat"
    builder_testing.refused("aist", tmp_path, message, config=CONFIGS[folder])
  path.write_bytes(pickle.dumps({"x": builder_testing.Malicious(tmp_path / "made")}))
  message = rf"{folder}/{NAME}\.pkl: refused: it asks for 'posix.mkdir', .* nothing was"
  builder_testing.refused("aist", tmp_path, message, config=CONFIGS[folder])
  assert not (tmp_path / "made").exists()


def put_videos(raw, content):
  for names in annotated.NAMES.values():
    for name in names:
      for view in annotations.VIEWS:
        (raw / f"{name.replace('cAll', view)}.mp4").write_bytes(content)


def test_a_truncated_video_is_named(tmp_path):
  pytest.importorskip("av", reason="needs jaxpose[video]")
  put_videos(annotated.write(tmp_path / "raw"), b"\0\0\0\x18ftypmp42")
  message = r"ch01\.mp4: not a video that ffmpeg can read"
  builder_testing.refused("aist", tmp_path, message, config="frames", processes=1)


def test_videos_without_pyav_tell_what_to_install(tmp_path, monkeypatch):
  put_videos(annotated.write(tmp_path / "raw"), b"\0\0\0\x18ftypmp42")
  monkeypatch.setitem(sys.modules, "av", None)
  message = r"^dataset 'aist': .*PyAV.*pip install 'jaxpose\[video\]'"
  builder_testing.refused("aist", tmp_path, message, config="frames", processes=1)


@pytest.mark.parametrize("config", ["keypoints", "mesh"])
def test_names_may_be_in_any_script(tmp_path, config, monkeypatch):
  name = "gBR_sBM_cAll_d04_mBR0_跳舞"
  monkeypatch.setitem(annotated.NAMES, "test", [name])
  splits = builder_testing.build_and_read(
    "aist", tmp_path / "out", annotated.write(tmp_path / "ü 数据"), config=config
  )
  found = {builder_testing.text(record, "sequence") for record in splits["test"]}
  assert found == {name}


def test_joints_that_are_all_unknown_make_no_valid_frame(tmp_path):
  points = np.full((annotated.T, 17, 3), np.nan)
  raw = annotated.write(tmp_path / "raw", keypoints3d_optim=points)
  splits = builder_testing.build_and_read("aist", tmp_path / "out", raw)
  spoilt = annotated.NAMES["train"][1]
  for record in splits["train"]:
    known = builder_testing.text(record, "sequence") != spoilt
    assert record["frame_valid"].all() == known
    assert record["frame_valid"].any() == known
    assert np.isfinite(record["joints_3d"]).all()

"""Protocols on clips of several views, and the command that scores by them."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from jaxpose import evaluate
from jaxpose import models
from jaxpose import runtime
from jaxpose.data import view_motion
from jaxpose.models import multiview
from jaxpose.tasks import view_scoring
from jaxpose.tasks import view_tables
from jaxpose.weights import pretrained
from tests import multiview_testing
from tests import small_data

NAMES = ("h36m_multiview", "h36m_multiview_every64")


@pytest.fixture(scope="module")
def data():
  """Two motions of 90 and 20 frames, cut into clips of 16."""
  records = small_data.records((90, 20), num_cameras=2)
  return view_motion.from_records(records, frames=4)


@pytest.fixture(scope="module")
def truth(data):
  return view_tables.truth(data, data.clips["frame_mask"])


def test_clips_that_continue_one_another_are_one_sequence(truth, data):
  joints = data.clips["joints_3d"]
  items = view_tables.protocol_sequences(truth, joints, joints)
  # What is shorter than a window, two frames at the end of the first, is left out.
  assert [len(item.pred) for item in items] == [90, 20]
  np.testing.assert_array_equal(items[0].frame_ids, np.arange(90))
  np.testing.assert_allclose(items[0].target, small_data.motion(90, 0), atol=1e-4)
  np.testing.assert_array_equal(items[1].absolute, items[1].target)
  assert {len(s.frame_ids) for s in data.sources} == {16, 10, 4}


def test_other_recordings_and_gaps_are_not_joined(data):
  first = data.sources[0]
  follows = data.sources[1]
  joined = view_tables._continues
  assert joined(first, follows)
  assert not joined(first, follows._replace(subject="other"))
  assert not joined(first, follows._replace(frame_ids=(17, 18)))
  assert not joined(first._replace(frame_ids=()), follows)


def test_numbers_are_those_of_the_poses(truth, data):
  """Every joint but the root 20 mm off, and 30 mm the other way altogether."""
  joints = data.clips["joints_3d"] - data.clips["joints_3d"][:, :, :1]
  joints = joints + np.asarray([0.02, 0, 0]) * (np.arange(17) > 0)[:, None]
  where = data.clips["joints_3d"] + np.asarray([0, 0, 0.03])
  found = view_tables.protocol_results(truth, NAMES, joints, where)
  every = found["h36m_multiview"]
  assert every.totals["mpjpe"] == pytest.approx(20 * 16 / 17, rel=1e-4)
  assert every.totals["absolute_mpjpe"] == pytest.approx(30, rel=1e-4)
  assert every.totals["velocity_error"] == pytest.approx(0, abs=1e-3)
  assert sum(every.frames.values()) == 110
  assert sum(found["h36m_multiview_every64"].frames.values()) == 3  # 0, 64 and 0


def test_without_a_place_there_is_no_absolute_error(truth, data):
  joints = data.clips["joints_3d"] - data.clips["joints_3d"][:, :, :1]
  found = view_tables.protocol_results(truth, NAMES, joints)
  assert "absolute_mpjpe" not in found["h36m_multiview"].totals
  somewhere = data.clips["joints_3d"].copy()
  somewhere[0, 3] = np.nan
  found = view_tables.protocol_results(truth, NAMES, joints, somewhere)
  assert "absolute_mpjpe" not in found["h36m_multiview"].totals


def test_the_setting_tells_what_a_number_depends_on(data):
  told = view_tables.setting(data, 4, causal=True, keypoints="true 2D")
  assert told == (
    "Boxes: the 2D joints of the data. 2D: true 2D. T = 4 frames at 50 per second, "
    "causal; each frame is predicted once, wherever in the window it is. V = 2 views "
    "unless said otherwise. No flip."
  )
  told = view_tables.setting(data, 8, causal=True, keypoints="true 2D")
  assert told.endswith("No flip. 4 frames of clips shorter than T are not scored.")
  sources = [
    source._replace(box_source="masks" if i else "")
    for i, source in enumerate(data.sources)
  ]
  mixed = dataclasses.replace(data, sources=tuple(sources))
  told = view_tables.setting(mixed, 1, causal=False, keypoints="its own")
  others = len(sources) - 1
  assert told.startswith(
    f"Boxes: as the data has them (1 clips), masks ({others} clips). 2D: its own. T = "
    "1 frame at 50 per second, not causal;"
  )


@pytest.fixture
def weights(tmp_path, monkeypatch):
  """A small lifter with random weights."""
  monkeypatch.setattr(runtime, "start", lambda: None)
  model = dict(name="multiview_lifter", variant="tiny", lifter_width=16)
  module = models.build(**model)
  example = multiview.example(module, 4)
  shapes = jax.eval_shape(module.init, jax.random.key(0), **example)
  inputs = ("keypoints_input", "scores_input", "view_mask", *view_scoring.CAMERAS)
  loaded = pretrained.make(
    model,
    multiview_testing.randomised(shapes),
    skeleton="h36m17",
    window=4,
    inputs=inputs,
    info=dict(views=2, stride=4),
  )
  return pretrained.save(tmp_path / "w.npz", loaded)


def test_the_command_prints_and_writes_the_protocol_with_its_number(
  weights, tiny_data_dir, tmp_path, capsys
):
  evaluate.main(
    [
      *(f"--weights={weights}", "--data=synthetic_motion", "--builder_config=tiny"),
      *(f"--data_dir={tiny_data_dir}", f"--protocol={','.join(NAMES)}"),
      f"--out={tmp_path}/out",
    ]
  )
  text = (tmp_path / "out" / "scores.md").read_text()
  assert text in capsys.readouterr().out
  for part in (
    "h36m_multiview: 17 joints (h36m17), root re-centred, aligned: MPJPE none, "
    "absolute MPJPE none, PA-MPJPE by a similarity, N-MPJPE by scale, MPJVE none; "
    "averaged over actions.",
    "S9's three takes with shifted ground truth count.",
    "2D: true 2D with a detector's noise. T = 4 frames at 12.5 per second, not causal",
    "Absolute: the root is triangulated from the same 2D. Scored: ",
    "| h36m_multiview_every64 | ",
    "3D absolute MPJPE, ",
  ):
    assert part in text, part
  numbers = json.loads((tmp_path / "out" / "scores.json").read_text())
  assert list(numbers) == ["mean pose", "DLT on the same 2D", "tiny"]
  row = numbers["tiny"]
  held = row["h36m_multiview"]
  assert held["total"] == pytest.approx(
    np.mean([r["mpjpe"] for r in held["rows"].values()])
  )
  assert f"Scored: {sum(held['frames'].values()):,} frames" in held["protocol"]
  every = row["h36m_multiview_every64"]
  assert 0 < sum(every["frames"].values()) < sum(held["frames"].values())
  assert row["h36m_multiview_absolute_mpjpe"]["unit"] == "mm"
  dlt = numbers["DLT on the same 2D"]
  assert dlt["h36m_multiview_absolute_mpjpe"]["total"] > 0
  assert "h36m_multiview_absolute_mpjpe" not in numbers["mean pose"]

import dataclasses
import functools
import json
import math

import jax
import numpy as np
import pytest

from benchmarks.multiview_ablations import __main__ as command
from benchmarks.multiview_ablations import arms
from benchmarks.multiview_ablations import occlusion
from benchmarks.multiview_ablations import report
from benchmarks.multiview_ablations import runs
from jaxpose import models
from jaxpose import tasks
from jaxpose.data import view_data
from jaxpose.data import view_windows
from jaxpose.train import training
from tests import multiview_records_test as small
from tests import small_runs


@functools.cache
def base():
  return runs.prepared(small_runs.get_config("mpstrt_quickstart"), 40)


@functools.cache
def everything():
  return arms.plan(base())


@functools.cache
def clips(size=48):
  return view_data.from_records([small.record(8, 4)] * 2, size)


def losses_of(config):
  """Shapes of the loss terms of a training batch of one window."""
  data, module = clips(), models.build(**config.model.to_dict())
  order = view_windows.TrainingOrder(
    data, 1, frames=config.data.window, views=config.data.views
  )
  windows = view_windows.gather(data.clips, order(0), config.data.window)
  augmentation = tasks.VIEWS.augmentation(config)

  def terms(windows, key):
    batch = training.make_batch(windows, key, data.skeleton, augmentation)
    inputs = [batch[key] for key in config.inputs]
    rngs = {"params": key, "dropout": key}
    out, _ = module.init_with_output(rngs, *inputs, train=True)
    losses = config.losses.to_dict()
    return {n: training.loss_term(out, batch, **term) for n, term in losses.items()}

  return jax.eval_shape(terms, windows, jax.random.key(0))


def shown(group):
  """Label -> overrides of a group."""
  plan = everything()
  overrides = {arm.name: arm.overrides for arm in plan.arms}
  return {label: overrides[name] for label, name in plan.groups[group]}


# Of rates and scores one of each: they differ in numbers alone.
TRACED = [
  arm
  for arm in everything().arms
  if not arm.name.startswith("keep-0.") or arm.name.startswith("keep-0.3")
]


@pytest.mark.parametrize("arm", TRACED, ids=[arm.name for arm in TRACED])
def test_every_arm_gives_the_losses_that_it_is_trained_by(arm):
  config = arms.configured(base(), arm.overrides, seed=3)
  assert config.seed == 3
  terms = losses_of(config)
  assert {"points", "joints"} <= terms.keys()
  assert all(term.shape == () for term in terms.values())


def test_every_arm_sees_as_many_images_in_a_step_as_the_default():
  for arm in everything().arms:
    data = arms.configured(base(), arm.overrides).data
    images = data.batch_size * data.window * (data.views or 4)
    assert abs(images - 128) <= 4, arm.name


def test_arms_with_other_attention_have_as_many_blocks():
  for label, overrides in shown("attention").items():
    config = arms.configured(base(), overrides)
    module = models.build(**config.model.to_dict())
    assert sum(module.depths) + module.global_depth == 3, label


def test_equal_arms_are_one_and_the_first_is_the_default():
  plan = everything()
  names = [arm.name for arm in plan.arms]
  assert names[0] == "default"
  assert len(set(names)) == len(names) == 41
  assert set(plan.groups) == set(arms.GROUPS)
  for group, rows in plan.groups.items():
    assert [name for _, name in rows].count("default") == 1, group
    assert {name for _, name in rows} <= set(names)
  assert dict(plan.groups["keep"])["1, no score"] == "attention-both-all-patches"


def test_losses_go_with_the_outputs_that_a_network_has():
  def losses(group, label):
    config = arms.configured(base(), shown(group)[label])
    return {name: term["key"] for name, term in config.losses.to_dict().items()}

  full = {*base().losses}
  assert losses("keep", "0.3, attn").keys() == full - {"relevance"}
  assert losses("keep", "0.3, mix").keys() == full
  alone = full - {"points_alone", "confidence"}
  assert losses("head", "regression").keys() == alone
  assert losses("view_embedding", "none")["velocity"] == "joints_3d_reference"
  assert losses("view_embedding", "camera")["joints"] == "joints_3d"


def test_only_some_groups_have_the_default_beside_their_arms():
  plan = arms.plan(base(), ("head",))
  assert [arm.name for arm in plan.arms] == ["default", "head-regression"]
  assert [*plan.groups] == ["head"]


def test_an_unknown_group_is_refused():
  with pytest.raises(
    ValueError, match="got the group heads, expected some of attentio"
  ):
    arms.plan(base(), ("heads", "keep"))


def test_a_config_of_another_model_is_refused():
  config = small_runs.get_config("mpstrt_s3_lifter")
  with pytest.raises(
    ValueError, match="model 'multiview_lifter', expected 'multiview'"
  ):
    arms.plan(config)


def test_a_config_without_a_number_of_steps_is_refused():
  config = small_runs.get_config("mpstrt_quickstart")
  config.total_steps, config.total_epochs = None, 3
  with pytest.raises(ValueError, match="without total_steps, expected it; set --steps"):
    runs.prepared(config, None)
  assert runs.prepared(config, 8).total_epochs is None


def black():
  """Black pictures with joints that are all in sight."""
  data, rng = clips(), np.random.default_rng(0)
  everywhere = np.ones(data.clips["visible"].shape, bool)
  changes = dict(
    images=np.zeros_like(data.clips["images"]),
    keypoints_2d=rng.uniform(2, 45, data.clips["keypoints_2d"].shape),
    keypoints_valid=everywhere,
    visible=everywhere,
  )
  return dataclasses.replace(data, clips=data.clips | changes)


def test_squares_cover_some_joints_and_hide_them():
  data = black()
  found = occlusion.occluded(data, rate=0.2)
  before, after = data.clips["images"], found.clips["images"]
  changed = (before != after).any(-1)
  assert (after[changed] == 255).all()
  assert 0 < changed.mean() < 0.5
  gone = data.clips["visible"] & ~found.clips["visible"]
  assert gone.any()
  points = data.clips["keypoints_2d"]
  for at in np.argwhere(gone):
    # Under a square, if only just: one of the pixels around it is white.
    x, y = np.floor(points[tuple(at)]).astype(int)
    assert (after[tuple(at[:-1])][y : y + 2, x : x + 2] == 255).any()
  np.testing.assert_array_equal(found.clips["visible"] | gone, data.clips["visible"])
  again = occlusion.occluded(data, rate=0.2).clips["images"]
  np.testing.assert_array_equal(again, after)


def test_one_square_is_as_large_as_said():
  data = black()
  keys = ("images", "visible")
  one = {key: data.clips[key][:1, :1, :1] for key in keys}
  one["keypoints_valid"] = np.arange(17).reshape(1, 1, 1, 17) == 4
  one["keypoints_2d"] = np.full((1, 1, 1, 17, 2), 20.0)
  data = dataclasses.replace(data, clips=one)
  found = occlusion.occluded(data, rate=1.0, side=0.25)
  covered = found.clips["images"][0, 0, 0, ..., 0] == 255
  # 0.25 * 48 / 1.25 = 9.6 pixels: 4 whole pixels on either side of the middle.
  assert covered.sum() == 9 * 9
  assert covered[16:25, 16:25].all()


def result(config, points=5.0, joints=100.0):
  scores = {"model": dict(keypoints_box=points, cmu_p1=joints)}
  return dict(
    config=runs.plain(config),
    scores={runs.SPLIT: scores, runs.OCCLUDED: scores},
    seconds_per_step=0.1,
    parameters=1000,
    mflop_per_image=2.0,
    training_seconds=30.0,
    scoring_seconds=2.0,
    cores=2,
    platform="cpu",
  )


@pytest.fixture
def trained(monkeypatch):
  """Runs that are only noted; `stop` and `fail` name some that do not end well."""
  monkeypatch.setattr(runs, "test_data", lambda _: lambda split: None)

  def run(config, folder, path, load):
    run.names.append(folder.name)
    if folder.name in run.fail:
      raise ValueError("the loss is nan")
    if folder.name in run.stop:
      return None
    found = result(config, 5.0 + config.seed + len(config.losses))
    runs._write(path, found)
    return found

  run.names, run.stop, run.fail = [], set(), set()
  return run


def test_finished_runs_are_skipped_and_an_interrupted_one_is_started_again(
  tmp_path, trained
):
  plan = arms.plan(base(), ("head",))
  trained.stop = {"default-seed1"}
  with pytest.raises(KeyboardInterrupt):
    command.ablate(plan, tmp_path, 2, run=trained)
  assert trained.names == ["default-seed0", "head-regression-seed0", "default-seed1"]
  kept = runs.result_path(tmp_path, "default", 0)
  text, trained.stop, trained.names = kept.read_text(), set(), []
  assert "2 runs finished, 2 left, about 1 minutes" in command.listed(plan, tmp_path, 2)
  assert command.ablate(plan, tmp_path, 2, command="--out=DIR", run=trained) == []
  assert trained.names == ["default-seed1", "head-regression-seed1"]
  assert kept.read_text() == text
  trained.names = []
  command.ablate(plan, tmp_path, 2, run=trained)
  assert trained.names == []
  page = (tmp_path / "ablations.md").read_text()
  assert "4 of 4 runs finished" in page
  assert str(tmp_path) not in page
  assert (tmp_path / "ablations.png").stat().st_size > 10_000


def test_a_run_that_fails_does_not_stop_the_others(tmp_path, trained, capsys):
  plan = arms.plan(base(), ("head",))
  trained.fail = {"default-seed0"}
  assert command.ablate(plan, tmp_path, 1, run=trained) == ["default-seed0"]
  assert "default-seed0: the loss is nan" in capsys.readouterr().err
  assert len(list((tmp_path / "results").iterdir())) == 1


def test_a_folder_of_another_config_is_refused(tmp_path, trained):
  command.ablate(arms.plan(base(), ("head",)), tmp_path, 1, run=trained)
  other = arms.plan(runs.prepared(base(), 41), ("head",))
  with pytest.raises(
    ValueError, match=r"another config \(.*total_steps differ\); choose"
  ):
    command.ablate(other, tmp_path, 1, run=trained)
  assert len(trained.names) == 2


def test_data_without_pictures_of_several_views_are_refused(tiny_data_dir):
  config = base().copy_and_resolve_references()
  config.data.name, config.data.builder_config = "synthetic_motion", "tiny"
  config.data.data_dir = str(tiny_data_dir)
  with pytest.raises(
    ValueError, match="data set 'synthetic_motion', expected pictures"
  ):
    runs.test_data(config)("test")


def test_the_command_refuses_no_seeds(tmp_path):
  words = ["--config=mpstrt_quickstart", f"--out={tmp_path}", "--seeds=0"]
  with pytest.raises(SystemExit, match="got --seeds=0, expected at least 1"):
    command.main(words)


METRIC = report.Metric("2D", "%", ("a", "b"))


def made_up(**numbers):
  return {name: [dict(a=dict(b=n)) for n in row] for name, row in numbers.items()}


def test_cells_are_means_and_standard_deviations():
  (row,) = made_up(arm=[1.0, 2.0, 6.0]).values()
  assert report.values(row, METRIC) == [1.0, 2.0, 6.0]
  assert report.cell([1.0, 2.0, 6.0], 2) == "3.00 ± 2.65"
  assert report.cell([1234.0], 1) == "1,234.0"
  assert report.cell([], 1) == "-"
  assert report.values([dict(a=None), {}, dict(a=dict(b=2))], METRIC) == [2.0]


def test_the_noise_is_pooled_over_arms():
  # Variances 2 and 8, with one degree of freedom each; one seed says nothing.
  found = report.noise(made_up(x=[1.0, 3.0], y=[10.0, 14.0], z=[7.0]), METRIC)
  assert found == pytest.approx(math.sqrt(5))
  assert math.isnan(report.noise(made_up(z=[7.0]), METRIC))


def test_only_differences_beyond_the_spread_are_called_better_or_worse():
  default = [10.0, 10.4]
  assert report.verdict([8.0, 8.3], default, 0.3) == "better"
  assert report.verdict([12.0, 12.2], default, 0.3) == "worse"
  assert report.verdict([9.8, 9.9], default, 0.3) == ""  # apart, but by the noise
  assert report.verdict([6.0, 10.1], default, 0.3) == ""  # one seed among the others
  assert report.verdict([8.0], default, 0.3) == ""
  assert report.verdict([8.0, 8.3], default, math.nan) == ""
  assert report.difference([8.0, 8.4], default, 0.3, 1) == "-2.0 **better**"
  assert report.difference([10.1, 10.5], default, 0.3, 2) == "+0.10"
  assert report.difference([], default, 0.3, 2) == "-"


def test_the_table_has_a_row_for_each_arm_and_the_default_in_each_group():
  plan = arms.plan(base(), ("head", "view_dropout"))
  results = {arm.name: [] for arm in plan.arms}
  results["default"] = [result(base(), 5.0), result(base(), 5.2)]
  results["head-regression"] = [result(base(), 8.0), result(base(), 8.2)]
  page = report.markdown(plan, results, ["facts"])
  rows = [line.split("|")[1:4] for line in page.splitlines() if line.startswith("|")]
  rows = [[cell.strip() for cell in row] for row in rows]
  assert rows.count(["soft-argmax (default)", "5.10 ± 0.14", ""]) == 1
  assert rows.count(["regression", "8.10 ± 0.14", "+3.00 **worse**"]) == 1
  assert rows.count(["0.3 (default)", "5.10 ± 0.14", ""]) == 1
  assert rows.count(["0.4", "-", "-"]) == 1
  assert "`model.joint_tokens=False`" in page


def test_a_run_is_trained_scored_on_both_tests_and_kept(tmp_path, monkeypatch):
  one = jax.devices()[:1]
  monkeypatch.setattr(jax, "devices", lambda *_: one)
  config = small_runs.get_config("mpstrt_quickstart", "smoke")
  config.data.data_dir = str(tmp_path / "data")
  config.model.layout = "off"
  config = runs.prepared(config, 2)
  load, path = runs.test_data(config), tmp_path / "results" / "x-seed0.json"
  found = runs.run(config, tmp_path / "runs" / "x-seed0", path, load)
  assert runs.read(path, config) == json.loads(json.dumps(found))
  clean, covered = (found["scores"][name] for name in (runs.SPLIT, runs.OCCLUDED))
  for metric in (*report.MAIN, *report.OTHERS):
    if "3 views" not in metric.title:  # all views of this data set
      assert report.values([found], metric), metric.title
  assert clean["model"]["keypoints_px"] != covered["model"]["keypoints_px"]
  assert clean["mean pose"] == covered["mean pose"] | clean["mean pose"]
  config.seed = 1
  with pytest.raises(ValueError, match=r"config \(seed differ\); choose another --out"):
    runs.read(path, config)

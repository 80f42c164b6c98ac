"""Weights files and run folders: round trips and refusals."""

import dataclasses
import hashlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from jaxpose import models
from jaxpose.files import resources
from jaxpose.weights import pretrained
from jaxpose.weights.checkpoint import Checkpoints

MODEL = dict(name="gla_gcn", variant="s_agcn", width=8, filter_widths=(3,))


def variables(seed: int = 0, model=MODEL) -> dict:
  """Random numbers in the shapes of the model's variables."""
  x = jax.ShapeDtypeStruct((1, 3, 17, 2), jnp.float32)
  shapes = jax.eval_shape(models.build(**model).init, jax.random.key(0), x)
  rng = np.random.default_rng(seed)
  return jax.tree.map(lambda s: rng.normal(size=s.shape).astype(np.float32), shapes)


def weights(seed: int = 0) -> pretrained.Pretrained:
  return pretrained.make(
    MODEL,
    variables(seed),
    skeleton="h36m17",
    window=3,
    info=dict(data="synthetic_motion", step=7, nested=dict(widths=(3, 3))),
  )


def same(a: dict, b: dict) -> None:
  a, b = (traverse_util.flatten_dict(x, sep="/") for x in (a, b))
  assert a.keys() == b.keys()
  for key in a:
    assert a[key].dtype == b[key].dtype
    np.testing.assert_array_equal(a[key], b[key])


def rewrite(path, **changes):
  """Changes arrays of a weights file; None removes one."""
  with np.load(path) as file:
    arrays = dict(file) | changes
  np.savez(path, **{k: v for k, v in arrays.items() if v is not None})


@pytest.fixture
def file(tmp_path):
  return pretrained.save(tmp_path / "lifter.npz", weights())


def test_a_weights_file_gives_back_what_was_saved(file):
  before, after = weights(), pretrained.load(file)
  same(before.variables, after.variables)
  assert after.module == before.module
  assert after.skeleton == before.skeleton
  assert (after.window, after.inputs) == (3, ("keypoints_2d",))
  assert after.info == dict(data="synthetic_motion", step=7, nested=dict(widths=[3, 3]))
  assert list(file.parent.iterdir()) == [file]


def test_saving_what_was_loaded_changes_nothing(file, tmp_path):
  loaded = pretrained.load(file)
  again = pretrained.load(pretrained.save(tmp_path / "again.npz", loaded))
  same(loaded.variables, again.variables)
  assert pretrained.describe(loaded) == pretrained.describe(again)


def test_a_folder_takes_a_file_of_the_usual_name(tmp_path):
  path = pretrained.save(tmp_path / "a" / "b", weights())
  assert path == tmp_path / "a" / "b" / pretrained.FILE
  same(pretrained.load(tmp_path / "a" / "b").variables, weights().variables)


def test_half_precision_is_for_storage_alone(tmp_path):
  whole = weights()
  path = pretrained.save(tmp_path / "half.npz", whole, half=True)
  with np.load(path) as stored:
    assert {stored[k].dtype for k in stored.files if k != "metadata"} == {
      np.dtype("float16")
    }
  pairs = zip(
    jax.tree.leaves(pretrained.load(path).variables),
    jax.tree.leaves(whole.variables),
    strict=True,
  )
  for got, want in pairs:
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-6)


def test_numbers_that_half_precision_cannot_hold_are_refused(tmp_path):
  large = weights()
  leaves, tree = jax.tree.flatten(large.variables)
  large = dataclasses.replace(
    large,
    variables=tree.unflatten([np.float32(1e5) * np.ones_like(leaves[0]), *leaves[1:]]),
  )
  with pytest.raises(ValueError, match=r"over 65504 in .*; save .* half=False"):
    pretrained.save(tmp_path / "half.npz", large, half=True)
  assert not (tmp_path / "half.npz").exists()


def test_saved_weights_are_never_overwritten(file):
  before = file.read_bytes()
  with pytest.raises(FileExistsError, match="never overwritten; choose another folder"):
    pretrained.save(file, weights(1))
  assert file.read_bytes() == before


@pytest.mark.parametrize("share", [0.0, 0.3, 0.95])
def test_a_truncated_file_is_refused(file, share):
  raw = file.read_bytes()
  file.write_bytes(raw[: int(share * len(raw))])
  with pytest.raises(
    ValueError, match=r"cannot be read as weights .* truncated or not"
  ):
    pretrained.load(file)


def test_a_file_that_is_no_npz_is_refused(tmp_path):
  for name, raw in (("a.bin", b"\x80\x02}q\x00."), ("b.npz", b"PK\x03\x04 no")):
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(ValueError, match="cannot be read as weights"):
      pretrained.load(tmp_path / name)


def test_a_damaged_array_is_refused(file):
  raw = bytearray(file.read_bytes())
  at = raw.find(b"params/") + 200
  raw[at : at + 64] = bytes(64)
  file.write_bytes(raw)
  with pytest.raises(ValueError, match="cannot be read as weights"):
    pretrained.load(file)


def test_an_npz_without_metadata_is_refused(file):
  rewrite(file, metadata=None)
  with pytest.raises(ValueError, match="without jaxpose's metadata, expected one"):
    pretrained.load(file)


@pytest.mark.parametrize("text", ["not json", "{}", '{"model": {}}', "[]"])
def test_metadata_that_lacks_something_is_refused(file, text):
  rewrite(file, metadata=np.asarray(text))
  with pytest.raises(ValueError, match="without jaxpose's metadata"):
    pretrained.load(file)


def test_arrays_of_another_shape_or_none_are_refused(file):
  with np.load(file) as arrays:
    key = next(k for k in arrays.files if k.startswith("params/head/kernel"))
  rewrite(file, **{key: np.zeros((5, 3), np.float32)})
  with pytest.raises(
    ValueError, match=r"0 arrays missing, 1 .*\(5, 3\), expected \(8,"
  ):
    pretrained.load(file)
  rewrite(file, **{key: None})
  with pytest.raises(ValueError, match=r"1 arrays missing.*nothing, expected \(8, 3\)"):
    pretrained.load(file)


def test_a_pickled_object_is_refused_and_not_run(file, tmp_path):
  class Evil:
    def __reduce__(self):
      return (tmp_path.joinpath("ran").touch, ())

  with np.load(file) as arrays:
    content = dict(arrays)
  content["params/head/kernel"] = np.asarray([Evil()], object)
  with file.open("wb") as f:
    np.savez(f, allow_pickle=True, **content)
  with pytest.raises(ValueError, match=r"cannot be read as weights .*allow_pickle"):
    pretrained.load(file)
  assert not (tmp_path / "ran").exists()


def test_an_unknown_model_in_a_file_is_refused(file):
  with np.load(file) as arrays:
    metadata = json.loads(str(arrays["metadata"]))
  metadata["model"]["name"] = "gla_gcm"
  rewrite(file, metadata=np.asarray(json.dumps(metadata)))
  with pytest.raises(ValueError, match="unknown model 'gla_gcm'; nearest: gla_gcn"):
    pretrained.load(file)


@pytest.fixture
def release(tmp_path, monkeypatch):
  """A weights folder with one released file in it."""
  folder = tmp_path / "released"
  file = pretrained.save(folder / "tiny.npz", weights())
  digest = hashlib.sha256(file.read_bytes()).hexdigest()
  index = {"gla_gcn_tiny": dict(file="tiny.npz", sha256=digest, about="a test")}
  (folder / "index.json").write_text(json.dumps(index))
  found = resources.folder
  monkeypatch.setattr(
    resources, "folder", lambda name: folder if name == "weights" else found(name)
  )
  return file


def test_released_weights_are_loaded_by_name(release):
  assert list(pretrained.released()) == ["gla_gcn_tiny"]
  same(pretrained.load("gla_gcn_tiny").variables, weights().variables)


def test_released_weights_that_changed_are_refused(release):
  rewrite(release)
  with pytest.raises(ValueError, match=r"got sha256 \w{12}\.\.\., expected .*damaged"):
    pretrained.load("gla_gcn_tiny")


def test_an_unknown_name_is_refused_with_the_nearest(release):
  with pytest.raises(FileNotFoundError, match=r"nearest: gla_gcn_tiny\), a weights"):
    pretrained.load("gla_gcn_tinny")


def test_without_a_release_there_is_no_nearest_name(tmp_path, monkeypatch):
  monkeypatch.setattr(resources, "folder", lambda name: tmp_path)
  assert pretrained.released() == {}
  with pytest.raises(FileNotFoundError, match="nearest: none"):
    pretrained.load("gla_gcn")


def save_run(folder, scores, **facts) -> None:
  config = facts | dict(
    model=MODEL,
    skeleton="h36m17",
    seed=4,
    inputs=["keypoints_2d"],
    data=dict(
      name="synthetic_motion",
      builder_config="tiny",
      data_dir=None,
      manual_dir=None,
      window=3,
    ),
  )
  folder.mkdir(exist_ok=True)
  (folder / "config.json").write_text(json.dumps(config))
  with Checkpoints(folder, keep=1) as checkpoints:
    for step, score in scores.items():
      params = variables(step)
      state = dict(
        step=jnp.asarray(step),
        params=params.pop("params"),
        model_state=params,
        opt_state=(jnp.zeros(3),),
      )
      checkpoints.save(step, state, score)


def test_a_run_gives_its_best_its_last_or_a_named_step(tmp_path):
  save_run(tmp_path, {1: 5.0, 2: 3.0, 3: 4.0})
  for step, expected in ((None, 2), ("best", 2), ("last", 3), (3, 3), ("2", 2)):
    loaded = pretrained.load(tmp_path, step=step)
    same(loaded.variables, variables(expected))
    assert loaded.info["step"] == expected
    assert loaded.info["data"] == "synthetic_motion"
    assert loaded.info["seed"] == 4
  assert loaded.window == 3
  assert loaded.module == models.build(**MODEL)
  for array in jax.tree.leaves(loaded.variables):
    assert isinstance(array, np.ndarray)


def test_a_run_that_was_not_scored_gives_its_last(tmp_path):
  save_run(tmp_path, {1: None, 2: None})
  assert pretrained.load(tmp_path).info["step"] == 2


@pytest.mark.parametrize(("facts", "fps"), [(dict(fps=25), 25.0), ({}, None)])
def test_a_run_becomes_a_weights_file(tmp_path, facts, fps):
  save_run(tmp_path / "run", {1: 5.0}, **facts)
  loaded = pretrained.load(tmp_path / "run")
  assert loaded.fps == fps
  file = pretrained.save(tmp_path / "out.npz", loaded)
  again = pretrained.load(file)
  same(again.variables, loaded.variables)
  assert again.fps == fps
  assert ("fps" in again.info) == bool(facts)


@pytest.mark.parametrize("step", [1, 9, "bset", "1.5"])
def test_a_step_that_a_run_lacks_is_refused(tmp_path, step):
  save_run(tmp_path, {1: None, 2: 3.0, 3: 4.0})
  with pytest.raises(ValueError, match=rf"no checkpoint '?{step}'?; it has \[2, 3\]"):
    pretrained.load(tmp_path, step=step)


def test_a_run_that_lacks_its_config_or_checkpoints_is_refused(tmp_path):
  save_run(tmp_path, {})
  with pytest.raises(FileNotFoundError, match="holds no finished checkpoint yet"):
    pretrained.load(tmp_path)
  (tmp_path / "config.json").unlink()
  with pytest.raises(FileNotFoundError, match=r"has checkpoints but no config.json"):
    pretrained.load(tmp_path)


def test_a_missing_run_folder_is_refused(tmp_path):
  with pytest.raises(FileNotFoundError, match="no weights at"):
    pretrained.load(tmp_path / "nothing")
  assert not (tmp_path / "nothing").exists()


def test_the_input_has_the_skeleton_that_the_model_maps():
  plain = weights()
  assert plain.input_skeleton == plain.skeleton
  model = dict(name="gla_gcn", variant="s_agcn_humaneva_mrcnn", filter_widths=(3,))
  mapped = dataclasses.replace(plain, module=models.build(**model), model=model)
  assert mapped.input_skeleton.name == "coco17"

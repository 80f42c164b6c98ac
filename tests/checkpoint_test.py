"""Checkpoints: which are kept, what comes back, and what a damaged one says."""

import gc
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.weights import checkpoint
from jaxpose.weights.checkpoint import Checkpoints


def state(step: int) -> dict:
  key = jax.random.fold_in(jax.random.key(0), step)
  return dict(
    step=jnp.asarray(step, jnp.int32),
    params=dict(head=dict(kernel=jax.random.normal(key, (4, 3)))),
    model_state={},
    opt_state=(jnp.arange(3.0) + step, dict(mu=jnp.ones((2,), jnp.bfloat16))),
  )


def same(a, b):
  a, b = jax.tree.leaves(a), jax.tree.leaves(b)
  assert len(a) == len(b)
  for x, y in zip(a, b, strict=True):
    assert x.dtype == y.dtype
    np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """Five checkpoints were saved, the second had the best score."""
  folder = tmp_path_factory.mktemp("run")
  with Checkpoints(folder, keep=2) as saved:
    for step, score in ((1, 9.0), (2, 3.0), (3, 5.0), (4, 4.0), (5, None)):
      saved.save(step, state(step), score)
  return folder


def test_the_best_and_the_last_are_kept(run):
  with Checkpoints(run, read_only=True) as saved:
    assert saved.steps == [2, 4, 5]
    assert saved.best_step == 2
  names = sorted(path.name for path in (run / checkpoint.FOLDER).iterdir())
  assert names == ["2", "4", "5"]


def test_a_state_comes_back_bit_equal(run):
  with Checkpoints(run, read_only=True) as saved:
    for step in saved.steps:
      loaded = saved.load(step, state(0))
      same(loaded, state(step))
      assert jax.tree.structure(loaded) == jax.tree.structure(state(step))
    same(saved.load(4), state(4))  # without saying what is expected


def test_a_new_run_has_no_best_step(tmp_path):
  with Checkpoints(tmp_path) as saved:
    assert saved.steps == []
    assert saved.best_step is None
    saved.save(1, state(1))
  with Checkpoints(tmp_path) as saved:
    assert saved.steps == [1]
    assert saved.best_step is None  # it has no score


def test_equal_scores_leave_the_later_step_the_best(tmp_path):
  with Checkpoints(tmp_path, keep=3) as saved:
    for step in (1, 2, 3):
      saved.save(step, state(step), 2.0 if step < 3 else 4.0)
  with Checkpoints(tmp_path, read_only=True) as saved:
    assert saved.best_step == 2


def test_saving_a_step_again_leaves_it_as_it_is(tmp_path):
  with Checkpoints(tmp_path) as saved:
    saved.save(1, state(1), 5.0)
    saved.save(1, state(7), 1.0)  # while the first may still be written
  with Checkpoints(tmp_path) as saved:
    saved.save(1, state(8), 1.0)
    assert saved.steps == [1]
    same(saved.load(1, state(0)), state(1))


def test_a_state_may_be_donated_right_after_saving(tmp_path):
  zeroed = jax.jit(lambda s: jax.tree.map(lambda x: x * 0, s), donate_argnums=0)
  current = dict(params=jnp.arange(2.0**23), step=jnp.asarray(1))
  with Checkpoints(tmp_path) as saved:
    saved.save(1, current)
    jax.block_until_ready(zeroed(current))
    assert current["params"].is_deleted()
  with Checkpoints(tmp_path) as saved:
    loaded = saved.load(1)
  np.testing.assert_array_equal(loaded["params"], np.arange(2.0**23, dtype=np.float32))


# Orbax leaves coroutines of a failed read behind, and they complain when collected.
noisy = pytest.mark.filterwarnings(
  "ignore::pytest.PytestUnraisableExceptionWarning",
  "ignore:coroutine .* was never awaited:RuntimeWarning",
)


def damaged(run, tmp_path, damage):
  shutil.copytree(run, tmp_path / "run")
  folder = tmp_path / "run" / checkpoint.FOLDER / "5"
  files = [path for path in folder.rglob("*") if path.is_file()]
  damage(files)
  return tmp_path / "run"


def halve(files):
  data = [path for path in files if path.parent.name == "d" and path.stat().st_size]
  assert data
  for path in data:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def lose(files):
  for path in files:
    if path.parent.name == "d" or "metadata" in path.name.lower():
      path.unlink()


@noisy
@pytest.mark.parametrize("damage", [halve, lose])
def test_a_truncated_checkpoint_is_one_sentence(run, tmp_path, damage):
  folder = damaged(run, tmp_path, damage)
  with Checkpoints(folder) as saved:
    with pytest.raises(ValueError, match=r"5 cannot be read, it is truncated or") as e:
      saved.load(5, state(0))
    assert "\n" not in str(e.value)
    assert "go on from step 4" in str(e.value)
    same(saved.load(4, state(0)), state(4))
  gc.collect()


@noisy
def test_a_checkpoint_of_another_model_is_refused(run):
  other = state(0) | dict(params=dict(head=dict(kernel=jnp.zeros((4, 7)))))
  renamed = state(0) | dict(params=dict(tail=dict(kernel=jnp.zeros((4, 3)))))
  with Checkpoints(run, read_only=True) as saved:
    for like in (other, renamed):
      with pytest.raises(ValueError, match="truncated or of another model"):
        saved.load(5, like)
  gc.collect()


@noisy
def test_the_only_checkpoint_damaged_means_to_start_anew(tmp_path):
  with Checkpoints(tmp_path) as saved:
    saved.save(1, state(1))
  shutil.rmtree(tmp_path / checkpoint.FOLDER / "1")
  (tmp_path / checkpoint.FOLDER / "1").mkdir()
  with (
    Checkpoints(tmp_path, read_only=True) as saved,
    pytest.raises(ValueError, match="move it away and start anew"),
  ):
    saved.load(1, state(1))
  gc.collect()


def test_what_a_killed_writer_left_is_removed_but_not_by_a_reader(run, tmp_path):
  shutil.copytree(run, tmp_path / "run")
  folder = tmp_path / "run" / checkpoint.FOLDER
  debris = folder / "9.orbax-checkpoint-tmp"
  shutil.copytree(folder / "5", debris)
  with Checkpoints(tmp_path / "run", read_only=True) as saved:
    assert saved.steps == [2, 4, 5]
  assert debris.exists()
  with Checkpoints(tmp_path / "run") as saved:
    assert saved.steps == [2, 4, 5]
    saved.save(6, state(6))
  assert not debris.exists()
  assert (folder / "6").is_dir()

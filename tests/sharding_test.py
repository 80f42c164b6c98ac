"""Data parallel training: eight devices do what one does; checkpoints move between."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec

from jaxpose import train
from tests import small_runs


def config(data_dir, total_steps=3):
  """GLA-GCN itself, with the batch norms that must see the whole batch."""
  made = small_runs.small(data_dir, total_steps=total_steps)
  made.model = dict(
    name="gla_gcn", variant="s_agcn", width=8, filter_widths=(3,), dropout=0.2
  )
  made.losses = dict(joints=dict(fn="mpjpe", key="joints_3d", weight=1.0))
  # Adam divides by the gradient's size, so that where that is nothing but rounding,
  # as in a bias before a norm, it would decide the step. Ranger's first are plain.
  made.optimizer = dict(name="ranger")
  made.schedule = dict(name="constant", value=1e-2)
  return made


@pytest.fixture(scope="module")
def runs(tiny_data_dir, tmp_path_factory):
  """The same three steps on one device and on eight."""
  folder = tmp_path_factory.mktemp("runs")
  with pytest.MonkeyPatch.context() as patch:
    for devices in (1, 8):
      small_runs.run(config(tiny_data_dir), folder / str(devices), patch, devices)
  return folder


def test_eight_devices_train_as_one(runs):
  one, eight = small_runs.metrics(runs / "1"), small_runs.metrics(runs / "8")
  for a, b in zip(one, eight, strict=True):
    for key in ("loss", "grad_norm"):
      assert a[key] == pytest.approx(b[key], rel=1e-5)
  a, b = small_runs.arrays(runs / "1"), small_runs.arrays(runs / "8")
  assert a.keys() == b.keys()
  statistics = [key for key in a if "batch_stats" in key]
  assert len(statistics) > 10
  for key in a:
    np.testing.assert_allclose(a[key], b[key], rtol=1e-5, atol=1e-6, err_msg=key)


def sharded(mesh, x):
  """Over the mesh along the first axis that it divides, else on all of it."""
  parts = [
    "data" if i == 0 and n % mesh.size == 0 else None for i, n in enumerate(x.shape)
  ]
  sharding = NamedSharding(mesh, PartitionSpec(*parts))
  return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)


@pytest.mark.parametrize("devices", [1, 2, 8])
def test_a_checkpoint_of_eight_devices_is_restored_onto_others(runs, devices):
  mesh = Mesh(np.asarray(jax.devices()[-devices:]), ("data",))
  with train.Checkpoints(runs / "8", read_only=True) as checkpoints:
    saved = checkpoints.load(3)
    like = jax.tree.map(lambda x: sharded(mesh, x), saved)
    loaded = checkpoints.load(3, like)
  assert jax.tree.structure(loaded) == jax.tree.structure(like)
  split = 0
  for a, b, c in zip(*map(jax.tree.leaves, (saved, loaded, like)), strict=True):
    assert b.sharding == c.sharding
    assert b.sharding.device_set == set(mesh.devices.flat)
    split += not b.sharding.is_fully_replicated
    np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
  assert split > 10 or devices == 1


def test_a_run_goes_on_on_other_devices(runs, tiny_data_dir, monkeypatch, capsys):
  longer = config(tiny_data_dir, total_steps=4)
  for devices, workdir in ((1, "8"), (8, "1")):
    small_runs.run(longer, runs / workdir, monkeypatch, devices)
    out = capsys.readouterr().out
    assert f"on {devices} cpu; going on from step 3" in out
  a, b = small_runs.arrays(runs / "1", 4), small_runs.arrays(runs / "8", 4)
  for key in a:
    np.testing.assert_allclose(a[key], b[key], rtol=1e-5, atol=1e-6, err_msg=key)


def test_a_batch_norm_over_shards_is_one_over_the_batch():
  """The same law without a model round it, on data whose shards differ."""
  x = jnp.asarray(np.random.default_rng(0).normal(np.arange(16)[:, None], 1, (16, 5)))
  x = x.astype(jnp.float32)
  norm = small_runs.BatchNorm()
  variables = norm.init(jax.random.key(0), x, train=False)

  @jax.jit
  def apply(x):
    return norm.apply(variables, x, train=True, mutable=["batch_stats"])

  mesh = Mesh(np.asarray(jax.devices()), ("data",))
  on_eight = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
  (y, stats), (z, others) = apply(x), apply(on_eight)
  np.testing.assert_allclose(y, z, atol=1e-5)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), stats, others)
  # A tenth of the way from 1 to the variance of the whole: 21 from the means alone.
  np.testing.assert_allclose(
    others["batch_stats"]["var"], 0.9 + 0.1 * np.var(x, 0, ddof=1), rtol=1e-4
  )

"""Laws of the network, and equality with a second implementation in NumPy."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import metrics
from jaxpose.convert import gla_gcn_torch
from jaxpose.models import gla_gcn
from tests import gla_gcn_reference


def tiny(variant="s_agcn", **fields):
  return gla_gcn.build(variant, **{"width": 8, "filter_widths": (3,), **fields})


def keypoints(module, batch=2, frames=None, seed=0):
  shape = (batch, frames or module.receptive_field, module.num_joints, 2)
  x = np.random.default_rng(seed).uniform(-1, 1, shape)
  return jnp.asarray(x, jnp.float32)


def start(module, seed=0):
  return gla_gcn_reference.random_variables(module, seed)


def evaluate(module, variables, x):
  return jax.jit(module.apply)(variables, x)["joints_3d"]


# The linear skip.


@pytest.mark.parametrize("sequence_head", [False, True])
def test_linear_skip_adds_a_linear_map_of_each_frame(sequence_head):
  module = tiny("s_agcn", linear_skip=True, sequence_head=sequence_head)
  x, variables = keypoints(module), start(module)
  rest = {k: v for k, v in variables["params"].items() if k != "linear"}
  plain = tiny("s_agcn", sequence_head=sequence_head)
  without = jax.jit(plain.apply)({**variables, "params": rest}, x)
  found = jax.jit(module.apply)(variables, x)
  linear = variables["params"]["linear"]
  statistics, norm = (
    variables["batch_stats"]["input_bn"],
    variables["params"]["input_bn"],
  )
  flat = (x.reshape(2, 3, 34) - statistics["mean"][None, None]) / np.sqrt(
    statistics["var"] + 1e-5
  )[None, None]
  flat = flat * norm["scale"][None, None] + norm["bias"][None, None]
  added = (flat @ linear["kernel"] + linear["bias"][None, None]).reshape(2, 3, 17, 3)
  assert np.abs(added).max() > 0.1
  difference = found["joints_3d"] - without["joints_3d"]
  np.testing.assert_allclose(difference, added[:, 1:2], atol=1e-5)
  if sequence_head:
    difference = found["joints_3d_sequence"] - without["joints_3d_sequence"]
    np.testing.assert_allclose(difference, added, atol=1e-5)


def test_linear_skip_starts_at_zero():
  module = tiny("s_agcn", linear_skip=True)
  params = module.init(jax.random.key(0), keypoints(module))["params"]
  assert not np.asarray(params["linear"]["kernel"]).any()


# Graphs.


@pytest.mark.parametrize(
  ("name", "golden_name"),
  [
    ("h36m", "h36m"),
    ("h36m17", "h36m"),
    ("humaneva15", "humaneva15_gt"),
    ("humaneva15_mrcnn", "humaneva15_mrcnn"),
    ("h36m_legacy_2021", "h36m_legacy_2021"),
  ],
)
def test_graphs_are_the_originals(golden, name, golden_name):
  expected = np.load(golden / "graphs.npz")[golden_name]
  np.testing.assert_array_equal(gla_gcn.constant_graph(name), expected)


@pytest.mark.parametrize("name", ["mpi3dhp", "smpl24", "humaneva15_mrcnn"])
def test_graph_columns_sum_to_one_or_are_empty(name):
  identity, *links = gla_gcn.constant_graph(name)
  np.testing.assert_array_equal(identity, np.eye(len(identity)))
  for matrix in links:
    total = matrix.sum(0)
    np.testing.assert_allclose(total[total > 0], 1, rtol=1e-6)
    assert (total == 0).any()  # a tree has a root and leaves


def test_unknown_graph_is_refused_with_the_nearest_names():
  with pytest.raises(ValueError, match=r"unknown graph 'h36'; nearest: h36m, "):
    gla_gcn.constant_graph("h36")


# Sizes.


def count(module):
  x = jax.ShapeDtypeStruct(
    (1, module.receptive_field, module.num_joints, 2), jnp.float32
  )
  variables = jax.eval_shape(module.init, jax.random.key(0), x)
  return {k: sum(a.size for a in jax.tree.leaves(v)) for k, v in variables.items()}


@pytest.mark.parametrize(
  ("variant", "fields", "expected", "statistics"),
  [
    ("s_agcn", {}, 844_076, 3_157),
    ("s_agcn", dict(filter_widths=(3,) * 4), 1_096_466, 3_929),
    ("s_agcn", dict(filter_widths=(3,) * 5), 1_348_856, 4_701),
    ("s_agcn_humaneva", {}, 842_724, None),
    ("s_agcn", dict(width=256, filter_widths=(3,) * 4), 7_703_106, None),
  ],
)
def test_parameter_counts_are_the_originals(variant, fields, expected, statistics):
  module = gla_gcn.build(variant, **fields)
  found = count(module)
  assert found["params"] == expected
  if statistics:
    norms = sum(
      e.path[-1] == "var" for e in gla_gcn_torch.entries(module)
    )  # the original counts the batches that each norm has seen
    assert found["batch_stats"] + norms == statistics


@pytest.mark.parametrize("variant", gla_gcn.VARIANTS)
def test_every_variant_traces_at_full_size(variant):
  widths = (3,) * (4 if variant == "gla_gcn_3dhp" else 5)
  module = gla_gcn.build(variant, filter_widths=widths)
  joints = 17 if module.input_map else module.num_joints
  frames = 3 ** len(widths)
  assert module.receptive_field == frames
  assert module.width == (256 if variant == "gla_gcn_3dhp" else 96)
  x = jax.ShapeDtypeStruct((2, frames, joints, 2), jnp.float32)
  out, _ = jax.eval_shape(module.init_with_output, jax.random.key(0), x)
  assert out["joints_3d"].shape == (2, 1, module.num_joints, 3)
  assert ("joints_3d_sequence" in out) == variant.startswith("gla_gcn")
  if "joints_3d_sequence" in out:
    assert out["joints_3d_sequence"].shape == (2, frames, module.num_joints, 3)


# Values.


@pytest.mark.parametrize(
  ("graph", "widths", "width"),
  [
    ("h36m", (3, 3), 8),
    ("humaneva15_mrcnn", (5,), 8),
    ("h36m_legacy_2021", (3,), 2),  # the embedding has 3 channels instead of 0
  ],
)
def test_network_equals_plain_numpy(graph, widths, width):
  module = tiny(graph=graph, filter_widths=widths, width=width)
  variables = start(module)
  x = keypoints(module, frames=2 * module.receptive_field)
  expected, _ = gla_gcn_reference.forward(
    gla_gcn_torch.write(module, variables), x, widths, gla_gcn.constant_graph(graph)
  )
  got = evaluate(module, variables, x)
  assert np.abs(expected).max() > 0.1
  np.testing.assert_allclose(got, expected, atol=1e-4)  # float32, numbers up to 31


def test_detected_keypoints_are_mapped_inside_and_not_normalised():
  module = tiny("s_agcn_humaneva_mrcnn")
  variables = start(module)
  coco = np.random.default_rng(0).uniform(-1, 1, (2, 3, 17, 2)).astype(np.float32)
  pelvis, thorax = coco[:, :, 11:13].mean(2), coco[:, :, 5:7].mean(2)
  rest = coco[:, :, [5, 7, 9, 6, 8, 10, 11, 13, 15, 12, 14, 16, 0]]
  mapped = np.concatenate([pelvis[:, :, None], thorax[:, :, None], rest], 2)
  expected, _ = gla_gcn_reference.forward(
    gla_gcn_torch.write(module, variables),
    mapped,
    (3,),
    gla_gcn.constant_graph("humaneva15_mrcnn"),
    input_norm=False,
  )
  np.testing.assert_allclose(evaluate(module, variables, coco), expected, atol=2e-5)
  mapped = evaluate(module, variables, mapped)
  np.testing.assert_allclose(mapped, expected, atol=2e-5)


def test_sequence_head_has_a_sign_and_sees_every_frame():
  module = tiny("gla_gcn", global_blocks=1)
  variables, x = start(module), keypoints(module, frames=18)
  out = jax.jit(module.apply)(variables, x)["joints_3d_sequence"]
  assert out.shape == (2, 18, 17, 3)
  assert (np.asarray(out) < 0).any()
  assert (np.asarray(out) > 0).any()
  moved = jax.jit(module.apply)(variables, x.at[:, -1].add(1.0))
  change = np.abs(moved["joints_3d_sequence"] - out).max((0, 2, 3))
  assert change[-1] > 1e-3


def test_unshared_head_has_weights_of_its_own_for_each_joint():
  module = tiny("gla_gcn_unshared", global_blocks=0, sequence_head=False)
  variables, x = start(module), keypoints(module)
  params = variables["params"]
  before = evaluate(module, variables, x)
  kernel = params["head_kernel"].copy()
  kernel[4] = kernel[4, ::-1]
  changed = variables | {"params": params | {"head_kernel": kernel}}
  change = np.abs(evaluate(module, changed, x) - before).max((0, 1, 3))
  assert change[4] > 1e-3
  assert change[np.arange(17) != 4].max() == 0
  # With the same weights for all joints it is the shared head.
  kernel, bias = params["head_kernel"][:1], params["head_bias"][:1]
  head = dict(head_kernel=kernel.repeat(17, 0), head_bias=bias.repeat(17, 0))
  unshared = evaluate(module, variables | {"params": params | head}, x)
  same = params | {"head": dict(kernel=kernel[0], bias=bias[0])}
  shared = evaluate(tiny(), variables | {"params": same}, x)
  np.testing.assert_allclose(unshared, shared, atol=2e-6)


def test_fresh_network_starts_with_its_graph_branches_off():
  module = tiny(width=32)
  variables = jax.jit(module.init)(jax.random.key(0), keypoints(module))
  block = variables["params"]["flat_0"]
  np.testing.assert_allclose(block["graph"]["bn"]["scale"], 1e-6)
  np.testing.assert_allclose(block["graph"]["adjacency"], 1e-6)
  spread = block["temporal_kernel"].std()
  np.testing.assert_allclose(spread, (2 / (9 * 32)) ** 0.5, rtol=0.05)


# Training.


def training_loss(module, params, variables, x, target, dropout=0, **call):
  out, state = module.apply(
    {**variables, "params": params},
    x,
    train=True,
    rngs={"dropout": jax.random.key(dropout)},
    mutable=["batch_stats"],
    **call,
  )
  return metrics.mpjpe(out["joints_3d"], target).mean(), state["batch_stats"]


def gradients(module, variables, x, target):
  loss = functools.partial(training_loss, module)
  return jax.jit(jax.grad(loss, has_aux=True))(
    variables["params"], variables, x, target
  )[0]


def test_dropout_acts_in_training_alone():
  module = tiny(dropout=0.5)
  variables, x = start(module), keypoints(module)
  loss = jax.jit(functools.partial(training_loss, module))
  target = jnp.zeros((2, 1, 17, 3))
  first, same, other = (
    loss(variables["params"], variables, x, target, seed)[0] for seed in (0, 0, 1)
  )
  assert first == same
  assert first != other
  rated = evaluate(module, variables, x)
  unrated = evaluate(tiny(dropout=0.0, graph_dropout=0.0), variables, x)
  np.testing.assert_array_equal(rated, unrated)


def test_momentum_moves_at_run_time_all_statistics_but_those_of_the_skips():
  module = tiny(dropout=0.0, graph_dropout=0.0)
  variables, x = jax.device_put(start(module)), keypoints(module)
  loss = functools.partial(training_loss, module, target=jnp.zeros((2, 1, 17, 3)))

  @jax.jit
  @chex.assert_max_traces(n=1)
  def statistics(momentum):
    return loss(variables["params"], variables, x, bn_momentum=momentum)[1]

  still, moved = statistics(jnp.float32(0.0)), statistics(jnp.float32(0.001))
  default = statistics(jnp.float32(0.1))
  for path, before in jax.tree_util.tree_leaves_with_path(variables["batch_stats"]):
    at_0, at_001, at_default = (
      functools.reduce(lambda node, key: node[key.key], path, tree)
      for tree in (still, moved, default)
    )
    if path[-2].key in ("down_bn", "residual_bn"):
      np.testing.assert_allclose(at_0, at_default, rtol=1e-5)
      assert np.abs(at_0 - before).max() > 0
    else:
      np.testing.assert_array_equal(at_0, before)
      np.testing.assert_allclose(
        at_001 - before, 0.01 * (at_default - before), atol=1e-5
      )


def test_remat_gives_the_same_gradients():
  target = jnp.zeros((2, 1, 17, 3))
  module, remat = tiny(), tiny(remat=True)
  variables, x = start(module), keypoints(module)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6),
    gradients(module, variables, x, target),
    gradients(remat, variables, x, target),
  )


def test_bfloat16_computes_close_and_keeps_parameters_in_float32():
  fields = dict(variant="s_agcn", width=32, sequence_head=True)
  module, half = tiny(**fields), tiny(**fields, dtype="bfloat16")
  x = keypoints(module)
  fresh = jax.eval_shape(half.init, jax.random.key(0), x)
  assert {a.dtype for a in jax.tree.leaves(fresh)} == {jnp.dtype("float32")}
  variables = start(module)
  full, coarse = (jax.jit(m.apply)(variables, x) for m in (module, half))
  for key in ("joints_3d", "joints_3d_sequence"):
    assert coarse[key].dtype == jnp.float32
    error = np.abs(full[key] - coarse[key])
    assert 0 < error.mean() < 0.03 * np.abs(full[key]).mean()
  grads = gradients(half, variables, x, jnp.zeros((2, 1, 17, 3)))
  assert {a.dtype for a in jax.tree.leaves(grads)} == {jnp.dtype("float32")}
  assert all(np.isfinite(a).all() for a in jax.tree.leaves(grads))


# Refusals.


@pytest.mark.parametrize(
  ("fields", "sentence"),
  [
    (dict(filter_widths=(3, 5)), r"got filter_widths \(3, 5\), expected equal odd"),
    (dict(filter_widths=(2, 2)), "expected equal odd widths of at least 3"),
    (dict(filter_widths=(1,)), "expected equal odd widths of at least 3"),
    (dict(filter_widths=()), "expected equal odd widths of at least 3"),
    (dict(head="own"), "got head 'own', expected 'shared' or 'unshared'"),
    (dict(variant="s_gcn"), "unknown GLA-GCN variant 's_gcn'; nearest: s_agcn, "),
    (dict(widht=8), "no field 'widht'; nearest: width, "),
    (dict(parent=None), "no field 'parent'; nearest: "),
  ],
)
def test_bad_fields_are_refused(fields, sentence):
  with pytest.raises(ValueError, match=sentence):
    gla_gcn.build(**fields)


@pytest.mark.parametrize(
  ("variant", "frames", "joints", "sentence"),
  [
    ("s_agcn", 3, 15, "got 15 joints, expected the 17 of graph 'h36m'"),
    ("s_agcn_humaneva", 3, 17, "got 17 joints, expected the 15 of graph 'humaneva15'"),
    ("s_agcn", 4, 17, "got windows of 4 frames, expected a multiple of .* 3 frames"),
    ("s_agcn", 0, 17, "got windows of 0 frames"),
  ],
)
def test_other_joints_and_frames_are_refused(variant, frames, joints, sentence):
  module = tiny(variant)
  with pytest.raises(ValueError, match=sentence):
    module.init(jax.random.key(0), jnp.zeros((1, frames, joints, 2)))

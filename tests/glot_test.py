"""Laws of the network, and its regressors against plain NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import body as bodies
from jaxpose import models
from jaxpose.models import glot
from jaxpose.models import glot_parts
from jaxpose.models.glot_parts import ANCESTORS
from jaxpose.models.glot_parts import Estimate

TINY = dict(
  window=8,
  feat_dim=12,
  keypoint_skeleton="lsp14",
  keypoint_hidden=8,
  width=16,
  depth=1,
  heads=4,
  decoder_width=8,
  mask_hidden=(6, 10),
  local_width=8,
  local_heads=2,
  local_depth=1,
  cross_heads=2,
  nearby=2,
  regressor_hidden=10,
  regressor_iterations=2,
  hscr_hidden=14,
)
STILL = dict.fromkeys(
  (
    "dropout",
    "drop_path",
    "local_dropout",
    "local_drop_path",
    "regressor_dropout",
    "hscr_dropout",
    "keypoint_dropout",
  ),
  0.0,
)


def tiny(variant="glot", **fields):
  return glot.build(variant, **{**TINY, **fields})


def draw(*shape, seed=0):
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def window(module, batch=2, seed=0):
  x = draw(batch, *module.input_shape, seed=seed)
  return x.at[..., 2].set(jnp.abs(x[..., 2])) if module.encoder == "keypoints" else x


def start(module, seed=0):
  """Random variables of a useful size, with the constants of a fresh network."""
  shapes = jax.eval_shape(module.init, jax.random.key(0), window(module))
  rng = np.random.default_rng(seed)

  def random(s):
    scale = 0.5 if len(s.shape) < 2 else s.shape[-2] ** -0.5
    return jnp.asarray(rng.normal(size=s.shape) * scale, s.dtype)

  constants = dict(
    pose_6d=jnp.asarray([1.0, 0, 0, 1, 0, 0] * 24),
    betas=jnp.zeros(10),
    camera=jnp.asarray([0.9, 0, 0]),
  )
  return {"params": jax.tree.map(random, shapes["params"]), "constants": constants}


@functools.cache
def compiled(module, **call):
  return jax.jit(functools.partial(module.apply, **call))


def evaluate(module, variables, x):
  return compiled(module)(variables, x)


def train(module, variables, x, noise=None, seed=0, **options):
  names = ("mask", "dropout")
  rngs = {name: jax.random.key(seed + i) for i, name in enumerate(names)}
  run = compiled(module, train=True, **options)
  return run(variables, x, noise=noise, rngs=rngs)


# Sizes.


def test_parameters_are_those_of_the_original_without_the_unused_ones():
  module = glot.build()
  x = jax.ShapeDtypeStruct((1, *module.input_shape), jnp.float32)
  variables = jax.eval_shape(module.init, jax.random.key(0), x)
  count = {
    name: sum(a.size for a in jax.tree.leaves(part))
    for name, part in variables["params"].items()
  }
  assert sum(count.values()) == 15_681_023
  unused = 1024 * 1024 + 1024
  assert count["global"] + count["global_regressor"] == 12_587_933 - unused
  assert count["local"] == 524_544 + 131_328 + 2_372_096 + 262_400
  assert count["hscr"] == 865_647 - 13_325
  assert {k: a.shape for k, a in variables["constants"].items()} == {
    "pose_6d": (144,),
    "betas": (10,),
    "camera": (3,),
  }


@pytest.mark.parametrize("variant", glot.VARIANTS)
def test_every_variant_traces_at_full_size(variant):
  module = models.build("glot", variant=variant)
  assert module.receptive_field == 16
  x = jax.ShapeDtypeStruct((2, *module.input_shape), jnp.float32)
  variables = jax.eval_shape(module.init, jax.random.key(0), x)
  shapes = dict(pose_6d=(144,), rotations=(24, 3, 3), betas=(10,), camera=(3,))

  def found(**call):
    out = jax.eval_shape(functools.partial(module.apply, **call), variables, x)
    return {key: (a.shape, str(a.dtype)) for key, a in out.items()}

  def expected(n, frames):
    final = {k: ((2, n, *s), "float32") for k, s in shapes.items()}
    whole = {f"global_{k}": ((2, frames, *s), "float32") for k, s in shapes.items()}
    return final | whole

  rngs = {name: jax.random.key(0) for name in ("mask", "dropout")}
  assert found() == expected(1, 1)
  assert found(train=True, rngs=rngs) == expected(3, 16) | {"mask": ((2, 16), "bool")}


# Masking.


def test_frames_with_the_largest_noise_are_hidden():
  module = tiny(window=10, mask_ratio=0.35)  # int(10 * 0.65) = 6 stay
  noise = jnp.asarray(np.random.default_rng(3).permutation(20).reshape(2, 10) / 20)
  noise = noise.astype(jnp.float32)
  mask = train(module, start(module), window(module), noise)["mask"]
  largest = np.argsort(np.asarray(noise), 1)[:, 6:]
  expected = np.zeros((2, 10), bool)
  np.put_along_axis(expected, largest, True, 1)
  np.testing.assert_array_equal(mask, expected)


def test_encoder_sees_the_visible_frames_alone_and_in_shuffled_order():
  module = tiny(**STILL)
  variables, x = start(module), window(module, batch=1)
  order = np.array([5, 0, 7, 2, 1, 3, 4, 6])  # the first four stay
  noise = jnp.asarray(np.argsort(order)[None] / 8, jnp.float32)
  out, state = train(module, variables, x, noise, capture_intermediates=True)
  (memory,) = state["intermediates"]["global"]["encoder"]["__call__"]
  assert memory.shape == (1, 4, 16)
  p = variables["params"]["global"]
  tokens = x @ p["proj"]["kernel"] + p["proj"]["bias"][None, None]
  tokens = (tokens + p["position"][None])[:, order[:4]]
  encoder = glot_parts.Blocks((0.0,), 4)
  expected = encoder.apply({"params": p["encoder"]}, tokens, train=False)
  np.testing.assert_allclose(memory, expected, atol=1e-5)
  np.testing.assert_array_equal(np.flatnonzero(~out["mask"][0]), [0, 2, 5, 7])


def test_hidden_frames_do_not_reach_the_global_branch():
  module = tiny(**STILL)
  variables, x = start(module), window(module)
  noise = jnp.asarray(np.random.default_rng(0).random((2, 8)), jnp.float32)
  before = train(module, variables, x, noise)
  mask = np.asarray(before["mask"])[..., None]

  def change(x):
    after = train(module, variables, x, noise)
    keys = ("global_pose_6d", "global_betas", "global_camera")
    return max(np.abs(after[k] - before[k]).max() for k in keys)

  assert change(jnp.where(mask, x + 1, x)) == 0
  assert change(jnp.where(mask, x, x + 1)) > 1e-2


def test_hidden_frames_differ_by_their_position_alone():
  module = tiny(**STILL)
  variables = start(module)
  p = variables["params"]["global"]
  same = p["decoder_position"].at[:].set(p["decoder_position"][:1])
  params = variables["params"] | {"global": p | {"decoder_position": same}}
  out = train(module, variables | {"params": params}, window(module))
  for row, mask in zip(out["global_pose_6d"], np.asarray(out["mask"]), strict=True):
    spread = np.ptp(np.asarray(row)[mask], axis=0).max()
    assert spread < 1e-5 < np.ptp(np.asarray(row)[~mask], axis=0).max()


def test_training_path_without_masking_and_dropout_is_the_evaluation_path():
  module = tiny(**STILL, mask_ratio=0.0)
  variables, x = start(module), window(module)
  expected = evaluate(module, variables, x)
  out = train(module, variables, x)
  assert not out["mask"].any()
  for key, value in expected.items():
    middle = 4 if key.startswith("global_") else 1
    got = out[key][:, middle : middle + 1]
    np.testing.assert_allclose(got, value, rtol=1e-4, atol=2e-5, err_msg=key)


def test_mask_depends_on_its_own_rng_and_has_a_fixed_size():
  module = tiny(**STILL)
  variables, x = start(module), window(module, batch=16)
  masks = [train(module, variables, x, seed=s)["mask"] for s in (0, 0, 2)]
  np.testing.assert_array_equal(masks[0], masks[1])
  assert (masks[0] != masks[2]).any()
  for mask in masks:
    np.testing.assert_array_equal(mask.sum(1), 4)
  # About half of the windows hide any one frame.
  assert 0 < masks[0].sum(0).min() <= masks[0].sum(0).max() < 16


def test_mask_token_and_start_are_made_of_the_constants():
  module = tiny(**STILL)
  variables, x = start(module), window(module)
  constants = jax.jit(lambda k: module.init(k, x)["constants"])(jax.random.key(0))
  jax.tree.map(np.testing.assert_array_equal, constants, variables["constants"])
  p = jax.tree.map(np.asarray, variables["params"]["global"]["mask_token"])
  h = np.concatenate([constants[k] for k in Estimate._fields])
  for name in ("fc0", "fc1"):
    h = np.maximum(h @ p[name]["kernel"] + p[name]["bias"], 0)
  expected = h @ p["fc2"]["kernel"] + p["fc2"]["bias"]
  _, state = train(module, variables, x, capture_intermediates=True)
  (token,) = state["intermediates"]["global"]["mask_token"]["__call__"]
  np.testing.assert_allclose(token, expected, atol=1e-5)
  moved = variables | {"constants": constants | {"betas": constants["betas"] + 1}}
  before, after = (evaluate(module, v, x)["global_betas"] for v in (variables, moved))
  assert np.abs(after - before).max() > 0.1


# Branches.


def gradient_sizes(module, variables, x, keys, noise=None):
  """Largest gradient of each part of the parameters, of a sum of squares of outputs."""

  def loss(params):
    out = train(module, variables | {"params": params}, x, noise)
    return sum((out[key] ** 2).sum() for key in keys)

  grads = jax.grad(loss)(variables["params"])
  grads = grads | {f"global/{k}": v for k, v in grads.pop("global").items()}
  return {
    name: max(float(np.abs(a).max()) for a in jax.tree.leaves(part))
    for name, part in grads.items()
  }


def test_local_branch_trains_the_global_encoder_but_neither_decoder_nor_regressor():
  module = tiny(**STILL)
  variables, x = start(module), window(module)
  sizes = gradient_sizes(module, variables, x, ("pose_6d", "betas", "camera"))
  reached = {name for name, size in sizes.items() if size > 0}
  assert reached == {
    "global/proj",
    "global/position",
    "global/encoder",
    "local",
    "hscr",
  }


def test_global_branch_trains_every_part_of_it_alone():
  module = tiny(**STILL)
  variables, x = start(module), window(module)
  keys = ("global_pose_6d", "global_betas", "global_camera")
  sizes = gradient_sizes(module, variables, x, keys)
  reached = {name for name, size in sizes.items() if size > 0}
  assert reached == set(sizes) - {"local", "hscr"}
  assert "global/mask_token" in reached


def test_local_branch_sees_the_nearby_frames_of_its_input():
  module = tiny(**STILL)
  variables, x = start(module), window(module)
  memory = draw(2, 8, 16, seed=1)
  local = glot_parts.LocalMotion(8, 1, 2, 2)
  p = {"params": variables["params"]["local"]}
  _, state = compiled(module, capture_intermediates=True)(variables, x)
  (seen,) = state["intermediates"]["local"]["proj"]["__call__"]
  p_proj = p["params"]["proj"]
  expected = x[:, 2:7] @ p_proj["kernel"] + p_proj["bias"][None, None]
  np.testing.assert_allclose(seen, expected, atol=1e-5)
  # The order of the memory carries no meaning: positions are in its tokens.
  nearby, order = x[:, 2:7], np.random.default_rng(0).permutation(8)
  plain, shuffled = (
    local.apply(p, nearby, m, train=True) for m in (memory, memory[:, order])
  )
  np.testing.assert_allclose(plain, shuffled, atol=1e-5)
  middle = local.apply(p, nearby, memory, train=False)
  np.testing.assert_allclose(plain[:, 1:2], middle, atol=2e-6)


def test_decoder_takes_the_first_drop_path_rates_of_the_encoder():
  assert glot_parts.drop_path_rates(0.2, 3) == (0.0, 0.1, 0.2)
  # The original: two blocks with rates 0 and 0.2, one decoder block, so without any.
  module = tiny(depth=2, **STILL | dict(drop_path=0.5))
  variables, x = start(module, seed=1), window(module, batch=8)

  def zero_branches(part):  # the encoder's blocks then do nothing, dropped or not
    return jax.tree.map(jnp.zeros_like, part)

  p = variables["params"]["global"]
  encoder = p["encoder"] | {"block_1": zero_branches(p["encoder"]["block_1"])}
  params = variables["params"] | {"global": p | {"encoder": encoder}}
  noise = jnp.asarray(np.random.default_rng(0).random((8, 8)), jnp.float32)
  first, other = (
    train(module, variables | {"params": params}, x, noise, seed=s)["global_pose_6d"]
    for s in (0, 5)
  )
  np.testing.assert_array_equal(first, other)
  first, other = (
    train(module, variables, x, noise, seed=s)["global_pose_6d"] for s in (0, 5)
  )
  assert np.abs(first - other).max() > 1e-3


def test_absent_keypoints_are_not_seen_and_confidence_is():
  module = tiny("glot_keypoints", feat_dim=12)
  variables, x = start(module), window(module)
  x = x.at[:, :, 1, -1].set(0)
  before = evaluate(module, variables, x)["pose_6d"]
  garbage = x.at[:, :, 1, :-1].set(jnp.nan)
  np.testing.assert_array_equal(evaluate(module, variables, garbage)["pose_6d"], before)
  for c in range(5):
    moved = evaluate(module, variables, x.at[:, :, 2, c].add(0.5))["pose_6d"]
    assert np.abs(moved - before).max() > 1e-3


# Regressors.


def estimate(*batch, seed=0):
  return Estimate(
    draw(*batch, 144, seed=seed),
    draw(*batch, 10, seed=seed + 1),
    draw(*batch, 3, seed=seed + 2),
  )


def with_noise(module, *inputs, **call):
  fresh = module.init(jax.random.key(0), *inputs, **call)
  rng = np.random.default_rng(0)
  return jax.tree.map(
    lambda a: jnp.asarray(rng.normal(size=a.shape) * 0.2, a.dtype), fresh
  )


def test_iterative_regressor_equals_plain_numpy():
  module = glot_parts.IterativeRegressor(hidden=7, iterations=4)
  features, mean = draw(2, 3, 5), estimate()
  variables = with_noise(module, features, mean, train=False)
  got = module.apply(variables, features, mean, train=False)
  p = jax.tree.map(lambda a: np.asarray(a, np.float64), variables["params"])
  for b, n in np.ndindex(2, 3):
    pose, betas, camera = (np.asarray(a, np.float64) for a in mean)
    for _ in range(4):
      z = np.concatenate([features[b, n], pose, betas, camera])
      z = z @ p["hidden"]["kernel"] + p["hidden"]["bias"]
      pose = pose + z @ p["pose_6d"]["kernel"] + p["pose_6d"]["bias"]
      betas = betas + z @ p["betas"]["kernel"] + p["betas"]["bias"]
      camera = camera + z @ p["camera"]["kernel"] + p["camera"]["bias"]
    for value, expected in zip(got, (pose, betas, camera), strict=True):
      np.testing.assert_allclose(value[b, n], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("quirk", [False, True])
def test_tree_regressor_equals_a_loop_over_joints(quirk):
  module = glot_parts.TreeRegressor(quirk)
  hidden, pose_6d = draw(2, 3, 9), draw(2, 3, 144, seed=1)
  variables = with_noise(module, hidden, pose_6d)
  got = module.apply(variables, hidden, pose_6d)
  p = jax.tree.map(lambda a: np.asarray(a, np.float64), variables["params"])
  residual, pair = np.zeros((2, 3, 24, 6)), 0
  hidden, pose_6d = np.asarray(hidden), np.asarray(pose_6d)
  for j, ancestors in enumerate(ANCESTORS):
    own = slice(6 * j, 6 * j + 6)
    first = j if quirk else 6 * j
    r = hidden @ p["hidden_kernel"][:, own] + p["bias"][own]
    r = r + pose_6d[..., first : first + 6] @ p["pose_kernel"][j]
    for ancestor in ancestors:
      r = r + residual[..., ancestor, :] @ p["ancestor_kernel"][pair]
      pair += 1
    residual[..., j, :] = r
  assert pair == len(p["ancestor_kernel"])
  np.testing.assert_allclose(got, residual.reshape(2, 3, 144), rtol=1e-4, atol=1e-4)


def test_ancestors_are_the_whole_chain_from_the_root():
  assert ANCESTORS[0] == ()
  assert ANCESTORS[22] == (0, 3, 6, 9, 13, 16, 18, 20)
  assert sum(map(len, ANCESTORS)) == len(glot_parts.PAIRS)


def test_fresh_tree_regressor_has_the_glorot_bound_of_each_joints_layer():
  module = glot_parts.TreeRegressor()
  hidden, pose_6d = draw(1, 1, 400), draw(1, 1, 144)
  p = module.init(jax.random.key(0), hidden, pose_6d)["params"]
  assert not p["bias"].any()
  pair = 0
  for j, ancestors in enumerate(ANCESTORS):
    bound = np.sqrt(6 / (400 + 6 * len(ancestors) + 6 + 6))
    largest = np.abs(p["hidden_kernel"][:, 6 * j : 6 * j + 6]).max()
    assert 0.99 * bound < largest <= bound
    assert 0.6 * bound < np.abs(p["pose_kernel"][j]).max() <= bound
    for _ in ancestors:
      assert 0.6 * bound < np.abs(p["ancestor_kernel"][pair]).max() <= bound
      pair += 1


def test_local_regressor_is_affine_and_adds_to_its_start():
  module = glot_parts.Hscr(hidden=7)
  tokens, start = draw(2, 3, 5), estimate(2, 3)
  variables = with_noise(module, tokens, start, train=False)

  def run(tokens, start):
    return module.apply(variables, tokens, start, train=False)

  zero = run(jnp.zeros_like(tokens), jax.tree.map(jnp.zeros_like, start))
  one = run(tokens, start)
  two = run(2 * tokens, jax.tree.map(lambda a: 2 * a, start))
  for a, b, c in zip(zero, one, two, strict=True):
    np.testing.assert_allclose(c - b, b - a, atol=2e-4)
  silent = jax.tree.map(jnp.zeros_like, variables)
  same = module.apply(silent, tokens, start, train=False)
  jax.tree.map(np.testing.assert_array_equal, same, start)


def test_head_gain_scales_the_fresh_corrections_alone():
  x = window(tiny())
  plain, small = (
    jax.jit(tiny(head_gain=gain).init)(jax.random.key(0), x)["params"]
    for gain in (1.0, 0.01)
  )
  for regressor, layers in dict(
    global_regressor=("pose_6d", "betas", "camera"), hscr=("betas", "camera", "tree")
  ).items():
    for layer in layers:
      expected = jax.tree.map(lambda a: 0.01 * a, plain[regressor][layer])
      jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5),
        small[regressor][layer],
        expected,
      )
  jax.tree.map(np.testing.assert_array_equal, small["global"], plain["global"])


# Body.


def random_body(m=30, s=10):
  rng = np.random.default_rng(0)

  def normal(*shape):
    return rng.normal(size=shape).astype(np.float32)

  regressor = np.zeros((9, m), np.float32)
  regressor[np.arange(9), np.arange(9)] = 1
  weights = rng.random((m, 24)).astype(np.float32)
  return bodies.Body(
    template=normal(m, 3),
    shape_dirs=0.1 * normal(m, 3, s),
    pose_dirs=0.01 * normal(207, m, 3),
    joint_template=normal(24, 3),
    joint_shape_dirs=0.1 * normal(24, 3, s),
    weights=weights / weights.sum(1, keepdims=True),
    faces=np.zeros((1, 3), np.int32),
    extra_vertices=rng.integers(0, m, 21).astype(np.int32),
    extra_regressor=regressor,
  )


def test_body_adds_joints_and_their_projection(monkeypatch):
  from jaxpose.body import body_files

  body = random_body()
  monkeypatch.setattr(body_files, "load", {"mine": body}.__getitem__)
  plain, module = tiny(**STILL), tiny(**STILL, body="mine")
  variables, x = start(plain), window(plain)
  same = jax.eval_shape(module.init, jax.random.key(0), x)
  assert jax.tree.structure(same) == jax.tree.structure(variables)
  noise = jnp.asarray(np.random.default_rng(0).random((2, 8)), jnp.float32)
  for run in (evaluate, functools.partial(train, noise=noise)):
    out, without = run(module, variables, x), run(plain, variables, x)
    added = set(out) - set(without)
    assert added == {
      f"{prefix}{key}"
      for prefix in ("", "global_")
      for key in ("joints_3d", "keypoints_2d")
    }
    for key, value in without.items():
      np.testing.assert_array_equal(out[key], value)
    for prefix in ("", "global_"):
      posed = bodies.pose(body, out[f"{prefix}rotations"], out[f"{prefix}betas"])
      joints = bodies.joints_49(body, posed)
      np.testing.assert_allclose(out[f"{prefix}joints_3d"], joints, atol=1e-4)
      points = bodies.project(joints, out[f"{prefix}camera"])
      np.testing.assert_allclose(
        out[f"{prefix}keypoints_2d"], points, rtol=1e-4, atol=1e-4
      )


# Training.


def gradients(module, variables, x):
  def loss(params):
    out = train(module, variables | {"params": params}, x)
    return (out["rotations"][..., 0] ** 2).sum() + (out["global_camera"] ** 2).sum()

  return jax.jit(jax.grad(loss))(variables["params"])


@pytest.mark.parametrize("rate", [k for k in STILL if k != "keypoint_dropout"])
def test_each_dropout_acts_in_training_alone(rate):
  deep = dict(depth=2, local_depth=2)  # the first block never drops its path
  module, without = tiny(**deep, **STILL | {rate: 0.5}), tiny(**deep, **STILL)
  variables, x = start(module), window(module, batch=4)
  noise = jnp.asarray(np.random.default_rng(0).random((4, 8)), jnp.float32)
  plain = train(without, variables, x, noise)
  out = train(module, variables, x, noise)
  assert any(np.abs(out[k] - plain[k]).max() > 1e-3 for k in ("pose_6d", "betas"))
  still = evaluate(without, variables, x)
  jax.tree.map(np.testing.assert_array_equal, evaluate(module, variables, x), still)


def test_keypoint_dropout_acts_in_training_alone():
  fields = dict(STILL, feat_dim=12)
  module = tiny("glot_keypoints", **fields | {"keypoint_dropout": 0.5})
  plain = tiny("glot_keypoints", **fields)
  variables, x = start(module), window(module)
  noise = jnp.asarray(np.random.default_rng(0).random((2, 8)), jnp.float32)
  with_it, without = (
    train(m, variables, x, noise)["global_pose_6d"] for m in (module, plain)
  )
  assert np.abs(with_it - without).max() > 1e-3
  with_it, without = (
    evaluate(m, variables, x)["global_pose_6d"] for m in (module, plain)
  )
  np.testing.assert_array_equal(with_it, without)


def test_noise_is_not_read_outside_training():
  module = tiny()
  variables, x = start(module), window(module)
  out = compiled(module)(variables, x, noise=jnp.zeros((2, 8)))
  assert "mask" not in out
  expected = evaluate(module, variables, x)
  jax.tree.map(np.testing.assert_array_equal, out, expected)


def test_remat_gives_the_same_gradients():
  module, remat = tiny(**STILL), tiny(**STILL, remat=True)
  variables, x = start(module), window(module)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
    gradients(module, variables, x),
    gradients(remat, variables, x),
  )


@pytest.mark.parametrize("variant", glot.VARIANTS)
def test_bfloat16_computes_close_and_keeps_parameters_in_float32(variant):
  fields = dict(STILL, feat_dim=12)
  full = tiny(variant, **fields)
  half = tiny(variant, dtype="bfloat16", **fields)
  x = window(full)
  fresh = jax.eval_shape(half.init, jax.random.key(0), x)
  assert {a.dtype for a in jax.tree.leaves(fresh)} == {jnp.dtype("float32")}
  variables = start(full)
  exact, coarse = (evaluate(m, variables, x) for m in (full, half))
  for key in ("pose_6d", "betas", "camera"):
    assert coarse[key].dtype == jnp.float32
    error = np.abs(exact[key] - coarse[key])
    assert 0 < error.mean() < 0.03 * np.abs(exact[key]).mean()
  grads = gradients(half, variables, x)
  assert {a.dtype for a in jax.tree.leaves(grads)} == {jnp.dtype("float32")}
  assert all(np.isfinite(a).all() for a in jax.tree.leaves(grads))


# Refusals.


@pytest.mark.parametrize(
  ("fields", "sentence"),
  [
    (dict(encoder="video"), "got encoder 'video', expected 'features' or 'keypoints'"),
    (dict(nearby=8), "got nearby 8 for a window of 16 frames, expected at least 1"),
    (dict(nearby=0), "got nearby 0 for a window of 16 frames"),
    (dict(mask_ratio=1.0), r"got mask_ratio 1\.0 for a window of 16 frames"),
    (dict(mask_ratio=0.95), r"got mask_ratio 0\.95 .* leaves the encoder a frame"),
    (dict(mask_ratio=-0.5), r"got mask_ratio -0\.5 "),
    (dict(decoder_depth=3), "got decoder_depth 3, expected at most the encoder's dep"),
    (dict(variant="glott"), "unknown GLoT variant 'glott'; nearest: glot, "),
    (dict(widht=8), "GLoT has no field 'widht'; nearest: width, "),
    (dict(parent=None), "no field 'parent'; nearest: "),
  ],
)
def test_bad_fields_are_refused(fields, sentence):
  with pytest.raises(ValueError, match=sentence):
    glot.build(**fields)


@pytest.mark.parametrize(
  ("variant", "shape", "sentence"),
  [
    ("glot", (1, 9, 12), r"got an input of \(9, 12\), expected \(8, 12\) for encoder"),
    ("glot", (1, 8, 13), r"got an input of \(8, 13\), expected \(8, 12\) for encoder"),
    ("glot", (1, 8, 5, 5), r"got an input of \(8, 5, 5\), expected \(8, 12\)"),
    ("glot_keypoints", (1, 8, 12), r"got an input of \(8, 12\), expected \(8, 14, 5\)"),
  ],
)
def test_inputs_that_do_not_fit_are_refused(variant, shape, sentence):
  with pytest.raises(ValueError, match=sentence):
    tiny(variant).init(jax.random.key(0), jnp.zeros(shape))


def test_lists_from_a_saved_configuration_build_the_same_module():
  built = models.build("glot", mask_hidden=[6, 10], dtype="bfloat16")
  assert built == glot.build(mask_hidden=(6, 10), dtype=jnp.bfloat16)

"""The laws that pin the design of the multi-view network, numbered as its plan was."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxpose import geometry
from jaxpose import metrics
from jaxpose.models import multiview
from jaxpose.models import multiview_image
from jaxpose.models import multiview_network as parts
from jaxpose.models.multiview_relations import Cameras
from jaxpose.tasks import view_losses as losses
from tests import multiview_testing as small
from tests import triangulation_test

# 10 (a crop's camera) is in triangulation_test, with most of 11 and 16 (DLT).


@pytest.mark.parametrize(
  ("layout", "lifter"),
  [("joint", "fused"), ("factorised", "poseformer"), ("time_only", "dlt")],
)
def test_1_pixels_of_a_missing_image_change_nothing(layout, lifter):
  module = small.build(layout=layout, lifter=lifter)
  x = small.inputs()
  x["view_mask"] = x["view_mask"].at[0, 1, 2].set(False).at[1, 2].set(False)
  other = small.inputs(seed=1)["images"]
  gone = ~x["view_mask"][..., None, None, None]
  changed = x | {"images": jnp.where(gone, other, x["images"])}
  assert small.difference(small.run(module, x), small.run(module, changed)) == 0
  seen = x | {"images": jnp.where(gone, x["images"], other)}
  assert small.difference(small.run(module, x), small.run(module, seen)) > 0.1


@pytest.mark.parametrize(
  ("view", "layout"),
  [
    ("camera", "joint"),
    ("ray", "view_only"),
    ("reference", "factorised"),
    ("relative", "joint"),
    ("none", "factorised"),
  ],
)
def test_2_the_order_of_the_views_does_not_matter(view, layout):
  module = small.build(view_embedding=view, layout=layout)
  x = small.inputs()
  x["view_mask"] = x["view_mask"].at[0, 1, 2].set(False)
  x["reference"] = jnp.asarray([1, 0], jnp.int32)
  order = np.asarray([2, 0, 1])
  moved = {k: a[:, order] for k, a in x.items() if k != "reference"}
  moved["reference"] = jnp.asarray([2, 1], jnp.int32)
  one, other = small.run(module, x), small.run(module, moved)
  for key in one:
    expected = one[key] if key in small.POSES else one[key][:, order]
    np.testing.assert_allclose(other[key], expected, atol=2e-5, err_msg=key)
  if view == "reference":
    plain = small.run(module, moved | {"reference": x["reference"]})
    assert np.abs(plain["joints_3d"] - one["joints_3d"]).max() > 1e-3


def test_3_a_clip_does_not_depend_on_its_batch_mates():
  module, x = small.build(), small.inputs()
  together = small.run(module, x)
  alone = small.run(module, {k: a[1:] for k, a in x.items()})
  mates = small.run(module, {k: a.at[0].set(a[1]) for k, a in x.items()})
  for key in together:
    np.testing.assert_allclose(alone[key], together[key][1:], atol=1e-5, err_msg=key)
    np.testing.assert_array_equal(mates[key][1:], together[key][1:], err_msg=key)


@pytest.mark.parametrize(
  ("lifter", "layout"),
  [("fused", "joint"), ("poseformer", "factorised"), ("dlt", "view_only")],
)
def test_4_one_view_and_one_frame_run_with_the_same_parameters(lifter, layout):
  module = small.build(lifter=lifter, layout=layout)
  variables = small.start(module)
  out = small.run(module, small.inputs(v=1, t=1), variables)
  assert out["keypoints_2d"].shape == (2, 1, 1, 5, 2)
  assert out["joints_3d"].shape == (2, 1, 5, 3)
  assert all(np.isfinite(a).all() for a in out.values())
  shapes = [
    jax.eval_shape(module.init, jax.random.key(0), **small.inputs(v=v, t=t))
    for v, t in ((1, 1), (3, 4))
  ]
  assert jax.tree.all(jax.tree.map(lambda a, b: a.shape == b.shape, *shapes))


def test_5_keeping_all_patches_is_no_selection():
  full = small.build(keep=(1.0, 1.0))
  none = small.build(keep=(), keep_at=(), score=())
  x, variables = small.inputs(), small.start(full)
  one, other = small.run(full, x), small.run(none, x, variables)
  assert set(one) - set(other) == {
    f"relevance_{kind}{i}" for kind in ("", "patches_") for i in range(2)
  }
  for key, value in other.items():
    np.testing.assert_allclose(value, one[key], atol=1e-6, err_msg=key)


@pytest.mark.parametrize(
  ("score", "fuse"),
  [
    (("head", "mix"), False),
    (("head", "mix"), True),
    (("attn", "attn"), True),
    (("rand", "head"), False),
    (("none", "rand"), False),
  ],
)
def test_6_dropping_patches_equals_hiding_them(score, fuse):
  """Outputs and gradients of the module that selects."""
  fields = dict(score=score, fuse_token=fuse)
  gather, hide = (
    parts.make_spatial(small.build(**fields, drop=drop)) for drop in ("gather", "mask")
  )
  grid = jnp.asarray(np.random.default_rng(0).normal(size=(4, 6, 6, 12)), jnp.float32)
  shapes = jax.eval_shape(lambda: gather.init(jax.random.key(0), grid, train=False))
  variables = small.randomised(shapes)

  def run(module):
    def total(variables, grid):
      out = module.apply(variables, grid, train=False)
      logits = sum(
        (a**2).sum() for k, a in out.items() if k in ("relevance_0", "relevance_1")
      )
      return (out["frame"] ** 2).sum() + 0.1 * logits, out

    slope = jax.jit(jax.grad(total, (0, 1), has_aux=True), compiler_options=small.QUICK)
    return slope(variables, grid)

  (slope, one), (other_slope, other) = run(gather), run(hide)
  assert one["kept"].shape == (4, 26 if "none" in score else 13)
  for key in one:
    np.testing.assert_allclose(other[key], one[key], atol=1e-5, err_msg=key)

  def same(a, b):
    np.testing.assert_allclose(a, b, atol=1e-4 * max(1, np.abs(a).max()))

  jax.tree.map(same, slope, other_slope)


def test_7_one_compilation_serves_all_inputs_of_a_shape():
  module = small.build()
  apply = jax.jit(module.apply, compiler_options=small.QUICK)
  kept = []
  for seed in range(3):
    x = small.inputs(seed=seed)
    x["view_mask"] = jnp.asarray(np.random.default_rng(seed).random((2, 3, 4)) < 0.6)
    kept.append(np.asarray(apply(small.start(module), **x)["kept"]))
  assert apply._cache_size() == 1
  assert (kept[0] != kept[1]).any()
  for a in kept:
    assert a.shape == (2, 3, 4, 13)
    assert (np.diff(a) > 0).all()
    assert 0 <= a.min()
    assert a.max() < 36


@pytest.mark.parametrize("side", [6, 7])
def test_8_tokens_that_wrap_round_the_grid_do_not_mix(side):
  """A window of 3, shifted by 1: who depends on whom is who is near in the image."""
  block = multiview_image.WindowBlock(1, 3, 1)
  x = jnp.asarray(np.random.default_rng(0).normal(size=(1, side, side, 4)), jnp.float32)
  shapes = jax.eval_shape(lambda: block.init(jax.random.key(0), x, False))
  variables = small.randomised(shapes)
  apply = jax.jit(lambda x: block.apply(variables, x, False))
  # Windows of the shifted grid begin at rows 1, 4, ...; before row 1 is one of its own.
  window = (np.arange(side) + 2) // 3
  base = np.asarray(apply(x))
  for row, column in ((0, 0), (0, side - 1), (side - 1, 2), (3, 3), (1, 0)):
    changed = apply(x.at[0, row, column, 0].add(1.0))
    moved = np.abs(np.asarray(changed) - base).max(-1)[0] > 1e-6
    expected = (window[:, None] == window[row]) & (window[None] == window[column])
    np.testing.assert_array_equal(moved, expected)


def test_9_soft_argmax_of_one_patch_is_its_centre():
  centres = multiview_image.patch_centres(4, 6, 8)
  n, (k, _) = 3, centres.shape
  key = jnp.broadcast_to(jnp.eye(k)[None], (n, k, k))
  chosen = np.random.default_rng(0).integers(0, k, (n, 5))
  query = 1000 * jax.nn.one_hot(chosen, k)
  at = jnp.broadcast_to(jnp.asarray(centres)[None], (n, k, 2))
  places, weights = multiview_image.soft_argmax(query, key, at)
  np.testing.assert_allclose(places, centres[chosen], atol=1e-6)
  np.testing.assert_allclose(weights, jax.nn.one_hot(chosen, k), atol=1e-6)
  # Hidden patches are not looked at.
  mask = jnp.ones((n, k), bool).at[:, chosen[0, 0]].set(False)
  _, weights = multiview_image.soft_argmax(query, key, at, mask)
  assert (np.asarray(weights)[..., chosen[0, 0]] == 0).all()


def test_9_patch_centres_are_the_middle_of_their_pixels():
  # As in jaxpose.geometry.crops: pixel u of a crop of n is at 2 u / n - 1.
  units = 2 * np.arange(24) / 24 - 1
  expected = units.reshape(6, 4).mean(1)
  got = multiview_image.patch_centres(6, 6, 4).reshape(6, 6, 2)
  np.testing.assert_allclose(got[2, :, 0], expected, atol=1e-6)
  np.testing.assert_allclose(got[:, 3, 1], expected, atol=1e-6)


def test_11_dlt_of_the_true_2d_is_the_true_pose():
  points, rays, rotation, position = triangulation_test.scene(3)
  intrinsics = np.asarray([4.0, 4.2, 0.1, -0.1])
  tile = np.ones((2, 1, 1, 1, 1))
  x = dict(
    keypoints_2d=rays[:, :, None] * intrinsics[:2] + intrinsics[2:],
    scores=np.ones((2, 3, 1, 5)),
    cameras=Cameras(
      jnp.asarray(rotation * tile[:, :, 0], jnp.float32),
      jnp.asarray(position * tile[:, :, 0, 0], jnp.float32),
      jnp.asarray(np.broadcast_to(intrinsics, (2, 3, 1, 4)), jnp.float32),
    ),
  )
  x = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), x)
  module = small.build(lifter="dlt")
  x["present"] = jnp.ones((2, 3, 1), bool)
  out = small.run(module, x, method="lift")
  np.testing.assert_allclose(out["joints_3d_world"][:, 0], points, atol=2e-5)
  relative = points - points[:, :1]
  np.testing.assert_allclose(out["joints_3d"][:, 0], relative, atol=3e-5)
  assert out["joints_3d_valid"].all()
  x["cameras"] = None
  with pytest.raises(
    ValueError, match=r"got no cameras, .* for the lifter 'dlt'; give"
  ):
    small.run(module, x, method="lift")


def test_12_alignment_ignores_similarity_and_never_raises_the_squared_error():
  rng = np.random.default_rng(0)
  pred, target = rng.normal(size=(2, 20, 17, 3))
  turn = geometry.axis_angle_to_matrix(rng.normal(size=(20, 3)))
  moved = 1.7 * pred @ turn + rng.normal(size=(20, 1, 3))
  expected = metrics.pa_mpjpe(pred, target)
  np.testing.assert_allclose(metrics.pa_mpjpe(moved, target), expected, atol=1e-9)
  aligned = geometry.procrustes_align(pred, target)
  after, before = (((p - target) ** 2).mean((1, 2)) for p in (aligned, pred))
  assert (after <= before).all()


@pytest.mark.parametrize(
  ("layout", "lifter", "time"),
  [
    ("joint", "fused", "rotary"),
    ("factorised", "poseformer", "learned"),
    ("time_only", "fused", "sinusoid"),
  ],
)
def test_13_causal_outputs_do_not_depend_on_later_frames(layout, lifter, time):
  fields = dict(layout=layout, lifter=lifter, time_embedding=time)
  x, other = small.inputs(), small.inputs(seed=1)
  mask = x["view_mask"].at[0, 0].set(False).at[0, 0, 3].set(True)
  x["view_mask"] = mask
  later = {
    "images": x["images"].at[:, :, 3:].set(other["images"][:, :, 3:]),
    "view_mask": mask.at[0, 0, 3].set(False).at[1, 2, 3].set(False),
  }

  def change(module):
    one, two = small.run(module, x), small.run(module, x | later)
    return max(
      np.abs(1.0 * a[:, :3] - 1.0 * two[k][:, :3]).max()
      if k in small.POSES
      else np.abs(1.0 * a[:, :, :3] - 1.0 * two[k][:, :, :3]).max()
      for k, a in one.items()
    )

  assert change(small.build(**fields, causal=True)) < 1e-6
  assert change(small.build(**fields, causal=False)) > 1e-3


def test_14_one_clip_can_be_learned():
  """2D below half a pixel, 3D below 3 cm; patches of the body are found."""
  module = multiview.build("tiny", view_dropout=0.0, lifter_gradient=False)
  x = small.inputs(b=1, v=2, t=2, size=48)
  rng = np.random.default_rng(0)
  points = jnp.asarray(rng.uniform(-0.7, 0.7, (1, 2, 2, 17, 2)), jnp.float32)
  pose = jnp.asarray(rng.normal(size=(1, 2, 17, 3)) * 0.3, jnp.float32)
  pose = pose - pose[:, :, :1]
  ones = jnp.ones((1, 2, 2, 17))
  bones = [(i, i + 1) for i in range(0, 16, 4)]
  body = losses.relevance_target(points, ones, bones, module.grid)
  tx = optax.adam(optax.cosine_decay_schedule(4e-3, 300))

  def loss(params):
    out = module.apply({"params": params}, **x)
    relevance = (out["relevance_0"], out["relevance_patches_0"])
    total = losses.keypoints_2d(out["keypoints_2d"], points, ones)
    total += 0.1 * losses.relevance(*relevance, body, ones[..., 0])
    total += 0.05 * losses.confidence(
      out["score_logits"], out["keypoints_2d"], points, ones
    )
    return total + metrics.mpjpe(out["joints_3d"], pose).mean(), out

  @jax.jit
  def fit(params):
    def step(carry, _):
      params, state = carry
      (value, _), slope = jax.value_and_grad(loss, has_aux=True)(params)
      updates, state = tx.update(slope, state)
      return (optax.apply_updates(params, updates), state), value

    (params, _), values = jax.lax.scan(step, (params, tx.init(params)), length=300)
    return values, loss(params)[1]

  # Drawn as `init` does but in NumPy, since to compile `init` takes longer than to fit.
  shapes = jax.eval_shape(module.init, jax.random.key(0), **x)["params"]
  params = jax.tree.map(
    lambda s: jnp.asarray(rng.normal(size=s.shape) * 0.02, s.dtype), shapes
  )
  params = jax.tree_util.tree_map_with_path(
    lambda path, a: a + ("scale" in str(path[-1])), params
  )
  values, out = fit(params)
  pixels = 24 * jnp.linalg.norm(out["keypoints_2d"] - points, axis=-1)
  assert values[-1] < 0.1 * values[0]
  assert pixels.mean() < 0.5
  assert metrics.mpjpe(out["joints_3d"], pose).mean() < 0.03
  kept = jnp.take_along_axis(body, out["kept"], -1).sum() / body.sum()
  assert kept > 0.9


def test_15_bfloat16_is_near_float32():
  # Every patch stays: which do is a decision that rounding may turn.
  fields = dict(keep=(1.0, 1.0))
  x, one = small.inputs(), small.build(**fields)
  low = small.build(**fields, dtype="bfloat16")
  variables = small.start(one)
  exact, got = small.run(one, x), small.run(low, x, variables)
  for key in exact:
    assert got[key].dtype == exact[key].dtype, key
    size = np.abs(exact[key]).max()
    np.testing.assert_allclose(got[key], exact[key], atol=0.12 * size, err_msg=key)
  assert np.abs(got["keypoints_2d"] - exact["keypoints_2d"]).max() > 1e-6


def test_16_the_learned_stage_is_not_equivariant_but_dlt_is():
  """A turn of the whole scene: see triangulation_test for DLT without a network."""
  x = small.inputs()
  turn = jnp.asarray(geometry.euler_to_matrix(np.asarray([0.7]), "z"), jnp.float32)
  turned = x | dict(
    camera_rotation=x["camera_rotation"] @ turn.T,
    camera_position=x["camera_position"] @ turn.T,
  )
  spread = {}
  for lifter in ("dlt", "fused"):
    # The 2D network knows no cameras here, so that its points stay.
    module = small.build(lifter=lifter, view_embedding="none")
    if lifter == "fused":
      module = small.build(lifter=lifter)
    one, other = small.run(module, x), small.run(module, turned)
    expected = one["joints_3d"] @ np.asarray(turn).T
    spread[lifter] = np.abs(other["joints_3d"] - expected).max()
    spread[lifter] /= np.abs(expected).max()
  assert spread["dlt"] < 1e-3 < spread["fused"]

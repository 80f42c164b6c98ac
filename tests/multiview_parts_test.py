"""Sizes, fields and single parts of the multi-view network."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import models
from jaxpose.geometry import triangulation
from jaxpose.models import multiview
from jaxpose.models import multiview_image
from jaxpose.models import multiview_lifters
from jaxpose.models import multiview_network as parts
from jaxpose.models import multiview_relations
from jaxpose.models.multiview_relations import Relations
from jaxpose.models.multiview_relations import drop_views
from tests import multiview_testing as small


def draw(*shape, seed=0):
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def shapes_of(module, size, **options):
  x = jax.eval_shape(lambda: small.inputs(v=2, t=3, size=size))
  return x, jax.eval_shape(module.init, jax.random.key(0), **x)


# Sizes.


def test_faithful_has_the_parameters_of_the_released_network():
  module = multiview.build("faithful")
  _, variables = shapes_of(module, 224)
  count = {
    name: sum(a.size for a in jax.tree.leaves(part))
    for name, part in variables["params"].items()
  }
  assert count["trunk"] == 28_288_354 - 769_000  # Swin-T without its classifier
  # Four blocks, a norm; the released table of 128 positions is not used, so not here.
  block = 4 * 768 * 769 + 1536 * 769 + 768 * 1537 + 4 * 768
  assert count["relations"] == 4 * block + 2 * 768
  assert count["head"] == 2 * 768 + 34 * 769
  assert set(count) == {"trunk", "relations", "head", "lifting"}
  assert sum(count.values()) - count["lifting"] == 46_456_732


@pytest.mark.parametrize(
  ("variant", "millions"), [("base", 22.5), ("small", 3.36), ("tiny", 0.224)]
)
def test_every_variant_traces_at_full_size(variant, millions):
  module = models.build("multiview", variant=variant)
  x, variables = shapes_of(module, module.image_size)
  parts = {k: v for k, v in variables["params"].items() if k != "lifting"}
  count = sum(a.size for a in jax.tree.leaves(parts))
  assert round(count / 1e6, 2 if millions < 10 else 1) == round(millions, 2)
  rngs = {"dropout": jax.random.key(0)}
  apply = functools.partial(module.apply, train=True, rngs=rngs)
  out = jax.eval_shape(apply, variables, **x)
  found = {
    key: (a.shape[3 - key.startswith("joints_3d") :], str(a.dtype))
    for key, a in out.items()
  }
  n = module.grid[0] * module.grid[1]
  counts = [n]
  for keep in module.keep:
    counts.append(multiview_image.keep_count(counts[-1], keep))
  expected = {
    "keypoints_2d": ((17, 2), "float32"),
    "keypoints_2d_spatial": ((17, 2), "float32"),
    "scores": ((17,), "float32"),
    "score_logits": ((17,), "float32"),
    "present": ((), "bool"),
    "kept": ((counts[-1],), "int32"),
    "view_weights": ((), "float32"),
    "joints_3d": ((17, 3), "float32"),
    "joints_3d_direct": ((17, 3), "float32"),
  }
  for i, k in enumerate(counts[:-1]):
    expected[f"relevance_{i}"] = ((k,), "float32")
    expected[f"relevance_patches_{i}"] = ((k,), "int32")
  assert found == expected


@pytest.mark.parametrize(
  ("count", "keep", "left"),
  [
    (196, 0.7, 138),
    (138, 0.7, 97),
    (36, 0.5, 18),
    (100, 0.55, 55),
    (7, 1.0, 7),
    (5, 0.01, 1),
  ],
)
def test_kept_patches_are_the_share_rounded_up(count, keep, left):
  assert multiview_image.keep_count(count, keep) == left


# Fields.


@pytest.mark.parametrize(
  ("fields", "sentence"),
  [
    (dict(layout="jiont"), "got layout 'jiont', expected one of joint, fact"),
    (dict(score=("head", "attention")), r"got score\[1\] 'attention', expected one"),
    (dict(view_embedding="cam"), "got view_embedding 'cam', expected one of camera"),
    (dict(lifter="mlp"), "got lifter 'mlp', expected one of fused, poseformer"),
    (dict(keep=(0.5,)), "got 1 keep, 2 keep_at and 2 score, expected one of each"),
    (dict(keep_at=(0, 4)), r"got keep_at \(0, 4\), expected ascending .* 2 global"),
    (dict(keep_at=(1, 0)), r"got keep_at \(1, 0\), expected ascending numbers"),
    (dict(keep=(0.5, 0.0)), r"got keep \(0.5, 0.0\), expected shares in \(0, 1\]"),
    (dict(depths=(1, 1)), r"got depths \(1, 1\) and window_heads \(2,\), expected one"),
    (
      small.REGRESSION | dict(view_embedding="relative"),
      "got view_embedding 'relative' without joint tokens",
    ),
  ],
)
def test_fields_that_do_not_fit_are_refused(fields, sentence):
  with pytest.raises(ValueError, match=sentence):
    small.build(**fields)


def test_unknown_variant_and_field_are_refused_with_the_nearest_names():
  with pytest.raises(ValueError, match="variant 'tinny'; nearest: tiny"):
    multiview.build("tinny")
  with pytest.raises(ValueError, match="no field 'layouts'; nearest: layout"):
    multiview.build("tiny", layouts="joint")
  with pytest.raises(ValueError, match="got lifter 'dlt', expected 'fused' or"):
    multiview.build_lifter("tiny", lifter="dlt")


def test_lists_of_a_config_become_tuples():
  module = multiview.build("tiny", stem=[[12, 4, 4], [48, 3, 2]], dtype="bfloat16")
  assert module.stem == ((12, 4, 4), (48, 3, 2))
  assert module.dtype == jnp.bfloat16
  hash(module)


@pytest.mark.parametrize(
  ("size", "fields", "sentence"),
  [
    (dict(size=22), {}, "got images of 22 x 22 pixels, expected multiples .* stride 4"),
    (dict(t=9), {}, "got 9 frames, expected at most 8 .* raise max_frames"),
    (
      dict(v=6),
      dict(view_embedding="index"),
      "got 6 views, expected at most 5 .* raise max_views",
    ),
    (
      dict(t=9),
      dict(lifter="poseformer", time_embedding="none"),
      "got 9 frames, expected at most 8; raise max_frames",
    ),
  ],
)
def test_inputs_that_do_not_fit_are_refused(size, fields, sentence):
  x = jax.eval_shape(lambda: small.inputs(**size))
  with pytest.raises(ValueError, match=sentence):
    jax.eval_shape(small.build(**fields).init, jax.random.key(0), **x)


@pytest.mark.parametrize("view", ["camera", "ray"])
def test_missing_cameras_are_refused(view):
  x = jax.eval_shape(small.inputs)
  init = functools.partial(small.build(view_embedding=view).init, jax.random.key(0))
  with pytest.raises(ValueError, match=f"got no cameras, .* embedding '{view}'; give"):
    jax.eval_shape(init, **small.without_cameras(x))
  del x["camera_position"]
  sentence = "got cameras without camera_position, expected .* give all three or none"
  with pytest.raises(ValueError, match=sentence):
    jax.eval_shape(init, **x)


# Windows and patches.


def test_windows_are_cut_and_joined():
  x = draw(2, 6, 4, 3)
  windows = multiview_image.partition(x, 2)
  assert windows.shape == (12, 4, 3)
  np.testing.assert_array_equal(windows[3], x[0, 2:4, 2:4].reshape(4, 3))
  back = multiview_image.unpartition(windows, 2, 6, 4)
  np.testing.assert_array_equal(back, x)


def test_relative_positions_of_a_small_window_are_the_middle_of_the_table():
  index = multiview_image.relative_index(2, 3)
  rows, columns = np.divmod(index, 5)
  np.testing.assert_array_equal(rows[:, 0] - 2, [0, 0, 1, 1])
  np.testing.assert_array_equal(columns[0] - 2, [0, -1, 0, -1])


def test_a_grid_within_one_window_is_not_shifted():
  assert multiview_image.window_mask(3, 3, 3, 0, (3, 3)) is None
  plain, shifted = (multiview_image.WindowBlock(1, 4, s) for s in (0, 2))
  x = draw(1, 3, 3, 4)
  variables = small.randomised(
    jax.eval_shape(lambda: plain.init(jax.random.key(0), x, False))
  )
  one, other = (m.apply(variables, x, False) for m in (plain, shifted))
  np.testing.assert_array_equal(one, other)


def test_merging_puts_squares_of_patches_together():
  x = draw(1, 4, 6, 2)
  merge = multiview_image.PatchMerging()
  variables = small.randomised(jax.eval_shape(lambda: merge.init(jax.random.key(0), x)))
  base = merge.apply(variables, x)
  assert base.shape == (1, 2, 3, 4)
  moved = merge.apply(variables, x.at[0, 3, 2].add(1.0)) - base
  expected = np.zeros((2, 3), bool)
  expected[1, 1] = True
  np.testing.assert_array_equal(np.abs(np.asarray(moved[0])).max(-1) > 1e-6, expected)


def test_equal_scores_keep_the_first_patches():
  n, k, c = 2, 6, 3
  index = jnp.broadcast_to(jnp.arange(k, dtype=jnp.int32)[None], (n, k))
  tokens = multiview_image.Tokens(draw(n, 1, c), draw(n, k, c), index, None)
  scores = jnp.asarray([[0.0, 1, 0, 0, 1, 0], [2, 2, 2, 2, 2, 2]])
  got = multiview_image.select(tokens, scores, 3)
  np.testing.assert_array_equal(got.kept, [[0, 1, 4], [0, 1, 2]])
  np.testing.assert_array_equal(
    got.patches[0], tokens.patches[0, np.asarray([0, 1, 4])]
  )
  assert got.queries is tokens.queries
  fused = multiview_image.select(tokens, scores[1:].repeat(2, 0), 3, fuse=True)
  expected = tokens.patches[:, 3:].mean(1)
  np.testing.assert_allclose(fused.queries[:, 1], expected, atol=1e-6)


def test_the_supervised_score_keeps_what_it_was_taught():
  """A patch token that the relevance layer likes stays, whatever attention says."""
  block = multiview_image.GlobalBlock(2, 1, keep=0.25)
  index = jnp.broadcast_to(jnp.arange(8, dtype=jnp.int32)[None], (3, 8))
  tokens = multiview_image.Tokens(draw(3, 1, 4), draw(3, 8, 4), index, None)
  shapes = jax.eval_shape(lambda: block.init(jax.random.key(0), tokens, False))
  variables = small.randomised(shapes)
  out, relevance = block.apply(variables, tokens, False)
  best = np.sort(np.argsort(-np.asarray(relevance.logits), -1)[:, :2], -1)
  np.testing.assert_array_equal(out.kept, best)


def test_the_released_option_of_four_prunings_by_the_pose_token_runs():
  """EViT: attention of the class token, 0.9 in each layer."""
  module = small.build(
    joint_tokens=False,
    global_depth=4,
    keep=(0.9,) * 4,
    keep_at=(0, 1, 2, 3),
    score=("attn",) * 4,
    view_embedding="none",
  )
  x = small.without_cameras(small.inputs())
  variables = small.randomised(jax.eval_shape(module.init, jax.random.key(0), **x))
  out = small.run(module, x, variables)
  assert out["kept"].shape == (2, 3, 4, 25)  # 36, 33, 30, 27 patches before
  assert not any(key.startswith("relevance") for key in out)
  np.testing.assert_array_equal(out["scores"], np.ones((2, 3, 4, 5)))


def test_images_of_another_size_resize_the_positions():
  module = small.build(lifter="none")
  out = small.run(module, small.inputs(size=32), small.start(module))
  assert out["relevance_0"].shape == (2, 3, 4, 64)
  assert np.isfinite(out["keypoints_2d"]).all()


# Relations.


LAYOUTS = {
  "joint": np.ones((3, 4)),
  "time_only": np.eye(3)[1][:, None] * np.ones((1, 4)),
  "view_only": np.ones((3, 1)) * np.eye(4)[2][None],
  "factorised": np.ones((3, 4)),
  "off": np.eye(3)[1][:, None] * np.eye(4)[2][None],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_relates_what_it_says(layout):
  """Which images see a change of view 1, frame 2; a second one is not present."""
  module = Relations(layout, (0.0,), 2)
  x, present = draw(1, 3, 4, 8), jnp.ones((1, 3, 4), bool).at[0, 0, 0].set(False)
  variables = small.randomised(
    jax.eval_shape(lambda: module.init(jax.random.key(0), x, present, train=False))
  )
  apply = jax.jit(lambda x: module.apply(variables, x, present, train=False))
  base = apply(x)

  def moved(view, frame):
    change = apply(x.at[0, view, frame].add(draw(8, seed=1))) - base
    return np.abs(np.asarray(change[0])).max(-1) > 1e-6

  np.testing.assert_array_equal(moved(1, 2), LAYOUTS[layout] > 0)
  alone = np.zeros((3, 4), bool)
  alone[0, 0] = True
  np.testing.assert_array_equal(moved(0, 0), alone)


@pytest.mark.parametrize("layout", ["joint", "factorised"])
def test_nothing_to_look_at_adds_nothing(layout):
  module = Relations(layout, (0.0,), 2)
  x, none = draw(1, 2, 2, 8), jnp.zeros((1, 2, 2), bool)
  variables = small.randomised(
    jax.eval_shape(lambda: module.init(jax.random.key(0), x, none, train=False))
  )
  got = module.apply(variables, x, none, train=False)
  alone = module.apply(variables, x[:, 1:, 1:], none[:, 1:, 1:], train=False)
  np.testing.assert_allclose(got[:, 1:, 1:], alone, atol=1e-6)
  assert np.isfinite(got).all()


def test_rotary_positions_know_order_and_only_differences():
  module = Relations("time_only", (0.0,), 2, rotary=True)
  x, present = draw(1, 1, 5, 8), jnp.ones((1, 1, 5), bool)
  variables = small.randomised(
    jax.eval_shape(lambda: module.init(jax.random.key(0), x, present, train=False))
  )

  def apply(x, present):
    return np.asarray(module.apply(variables, x, present, train=False))[0, 0]

  # Three frames somewhere among absent ones: the same wherever they are.
  late = apply(jnp.roll(x, 2, axis=2), jnp.roll(present.at[..., 3:].set(False), 2, 2))
  early = apply(x, present.at[..., 3:].set(False))
  np.testing.assert_allclose(late[2:], early[:3], atol=1e-5)
  assert np.abs(apply(x[:, :, ::-1], present)[::-1] - apply(x, present)).max() > 1e-2


def test_camera_features_ignore_where_the_world_and_padding_views_are():
  x = small.inputs(b=1)
  present = x["view_mask"].at[0, 2].set(False)
  rig = multiview_relations.Cameras(*(x[key] for key in small.CAMERAS))
  base = multiview_relations.camera_features(rig, present, False)
  np.testing.assert_allclose(
    base[0, :2, :, :6],
    np.asarray(rig.rotation)[0, :2, :2].reshape(2, 1, 6).repeat(4, 1),
    atol=1e-6,
  )
  centres = np.asarray(base[0, :2, 0, 6:9])
  np.testing.assert_allclose(centres.sum(0), 0, atol=1e-5)
  np.testing.assert_allclose((centres**2).sum(1).mean(), 1, atol=1e-5)
  moved = rig._replace(position=3 * rig.position.at[0, 2].set(77.0) + 5)
  other = multiview_relations.camera_features(moved, present, False)
  np.testing.assert_allclose(other[0, :2], base[0, :2], atol=1e-4)
  one = jax.tree.map(lambda a: a[:, :1], rig)
  alone = multiview_relations.camera_features(one, present[:, :1], True)
  np.testing.assert_array_equal(alone[..., 6:9], np.zeros((1, 1, 4, 3)))


def test_view_dropout_keeps_a_view_that_is_there():
  rng = np.random.default_rng(0)
  present = jnp.asarray(rng.random((500, 4, 3)) < 0.5)
  noise = jnp.asarray(rng.random((500, 4)), jnp.float32)
  got = np.asarray(drop_views(present, noise, 0.6))
  was, now = np.asarray(present).any(2), got.any(2)
  assert (now.any(1) == was.any(1)).all()
  np.testing.assert_array_equal(got, np.asarray(present) & now[..., None])
  more = was.sum(1) > 1
  assert 0.3 < now[more].sum() / was[more].sum() < 0.6
  keep = jnp.zeros((500, 4), bool).at[:, 2].set(True)
  got = np.asarray(drop_views(present, noise, 0.6, keep))
  np.testing.assert_array_equal(got[:, 2], present[:, 2])


# The whole, in pieces.


def test_training_hides_views_and_draws_again_with_another_key():
  module = small.build(view_dropout=0.5)
  x = small.inputs(b=8, v=3, t=1)
  one, same, other = (small.train(module, x, seed) for seed in (0, 0, 1))
  np.testing.assert_array_equal(one["present"], same["present"])
  np.testing.assert_array_equal(one["joints_3d"], same["joints_3d"])
  assert (one["present"] != other["present"]).any()
  assert one["present"].any((1, 2)).all()
  # A hidden view is a missing one.
  weights = one["view_weights"]
  assert (weights[~one["present"]] == 0).all()


def test_a_stream_of_kept_tokens_gives_what_the_whole_clip_does():
  module = small.build(causal=True)
  x = small.inputs()
  whole = small.run(module, x)
  rig = multiview_relations.Cameras(*(x[key] for key in small.CAMERAS))

  def seen(start, stop):
    at = slice(start, stop)
    cameras = rig._replace(intrinsics=rig.intrinsics[:, :, at])
    return x["view_mask"][:, :, at], cameras

  def call(method, *inputs):
    return small.compiled(module, method=method)(small.start(module), *inputs)

  memory = [
    call("encode_images", x["images"][:, :, t : t + 1], *seen(t, t + 1))
    for t in range(2)
  ]
  joined = jax.tree.map(lambda *a: jnp.concatenate(a, 2), *memory)
  out = call("relate", joined, *seen(0, 2))
  points = out["keypoints_2d"]
  np.testing.assert_allclose(points, whole["keypoints_2d"][:, :, :2], atol=1e-5)
  pose = call("lift", points, out["scores"], *seen(0, 2))
  np.testing.assert_allclose(pose["joints_3d"], whole["joints_3d"][:, :2], atol=1e-5)


@pytest.mark.parametrize("lifter", ["fused", "poseformer"])
def test_the_lifter_alone_has_the_weights_and_poses_of_the_whole(lifter):
  module = small.build(lifter=lifter)
  alone = multiview.build_lifter("base", **{**small.SMALL, "lifter": lifter})
  assert alone.view_dropout == (0.2 if lifter == "fused" else module.view_dropout)
  x = small.inputs()
  whole = small.run(module, x)
  given = {key: x[key] for key in ("view_mask", *small.CAMERAS)}
  given |= {key: jnp.asarray(whole[key]) for key in ("keypoints_2d", "scores")}
  params = small.start(module)["params"]["lifting"]
  out = small.run(alone, given, {"params": params})
  for key, value in out.items():
    np.testing.assert_allclose(value, whole[key], atol=1e-5, err_msg=key)


def test_the_lifter_gets_offsets_in_the_axes_of_the_world():
  alone = multiview.build_lifter("base", **small.SMALL)
  x = small.inputs()
  rng = np.random.default_rng(1)
  b, v, t, j = *x["view_mask"].shape, alone.num_joints
  given = {key: x[key] for key in ("view_mask", *small.CAMERAS)}
  given["keypoints_2d"] = jnp.asarray(rng.normal(size=(b, v, t, j, 2)), jnp.float32)
  given["scores"] = jnp.ones((b, v, t, j))
  params = small.start(small.build())["params"]["lifting"]
  _, state = alone.apply(
    {"params": params},
    **given,
    capture_intermediates=lambda module, _: module.name == "embed",
  )
  got = state["intermediates"]["embed"]["__call__"][0]
  # What a camera sees to its right and below, in space: along its first two axes.
  points = np.asarray(given["keypoints_2d"])
  offset = points - points[..., :1, :]
  axes = np.asarray(x["camera_rotation"])[:, :, None, None]
  world = offset[..., :1] * axes[..., 0, :] + offset[..., 1:] * axes[..., 1, :]
  flat = [points, np.ones((b, v, t, j, 1))]
  flat = np.concatenate(
    [np.concatenate(flat, -1).reshape(b, v, t, -1), world.reshape(b, v, t, -1)], -1
  )
  kernel, bias = (np.asarray(params["embed"][key]) for key in ("kernel", "bias"))
  expected = flat @ kernel + bias
  np.testing.assert_allclose(got, expected, atol=1e-5)


def seen_exactly():
  """Inputs of a lifter: joints about the point that the ring looks at; the joints.

  The second clip is in one view only.
  """
  x = small.inputs()
  b, v, t, j = *x["view_mask"].shape, small.SMALL["num_joints"]
  given = {key: x[key] for key in ("view_mask", *small.CAMERAS)}
  joints = np.random.default_rng(1).normal(size=(b, t, j, 3)) * 0.3 + [0, 0, 1]
  turn, place = (np.asarray(x[f"camera_{name}"]) for name in ("rotation", "position"))
  seen = np.einsum("bvdc,bvtjc->bvtjd", turn, joints[:, None] - place[:, :, None, None])
  points = triangulation.project_to_crop(seen, np.asarray(x["crop_intrinsics"]))
  given["keypoints_2d"] = jnp.asarray(points, jnp.float32)
  given["scores"] = jnp.ones((b, v, t, j))
  given["view_mask"] = given["view_mask"].at[1, 1:].set(False)
  return given, joints


def test_a_lifter_that_trusts_triangulation_gives_where_the_lines_meet():
  alone = multiview.build_lifter("base", **small.SMALL)
  given, joints = seen_exactly()
  params = small.start(small.build())["params"]["lifting"]
  plain = small.run(alone, given, {"params": params})["joints_3d"]
  bias = params["trust"]["bias"]
  trusting = params | {"trust": params["trust"] | {"bias": bias + 1e4}}
  got = small.run(alone, given, {"params": trusting})["joints_3d"]
  relative = joints - joints[:, :, :1]
  np.testing.assert_allclose(got[0], relative[0], atol=1e-4)
  assert np.abs(plain[0] - relative[0]).max() > 0.01
  np.testing.assert_array_equal(got[1], plain[1])


def test_a_lifter_weights_the_lines_and_at_first_all_alike():
  given, joints = seen_exactly()
  # One view is wrong about one joint.
  given["keypoints_2d"] = given["keypoints_2d"].at[0, 1, :, 2, 0].add(0.5)
  plain = multiview.build_lifter("base", **small.SMALL)
  alone = multiview.build_lifter("base", **small.SMALL, lifter_reweighted=True)
  params = small.start(small.build())["params"]["lifting"]
  started = jax.jit(alone.init)(jax.random.key(0), **given)["params"] | params
  assert set(started) - set(params) == {"misfit", "line_weight", "correction"}
  expected = small.run(plain, given, {"params": params})
  out = small.run(alone, given, {"params": started})
  np.testing.assert_allclose(out["joints_3d"], expected["joints_3d"], atol=1e-5)

  def loss(params):
    pose = alone.apply({"params": params}, **given)["joints_3d"]
    return jnp.abs(pose[0] - (joints - joints[:, :, :1])[0]).mean()

  step = jax.jit(jax.value_and_grad(loss))
  bias = params["trust"]["bias"] + 1e4
  found = started = started | {"trust": params["trust"] | {"bias": bias}}
  for _ in range(60):
    value, slope = step(found)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))
    # Only the weights of lines learn.
    change = jax.tree.map(lambda p, g: p - 200.0 * g, found, slope)
    found = found | {"line_weight": change["line_weight"]}
  assert value < 0.5 * step(started)[0]


def test_misfits_are_how_far_a_view_is_beside_the_point():
  given, _ = seen_exactly()
  seen = multiview_relations.as_cameras(*(given[key] for key in small.CAMERAS))
  points, mask = given["keypoints_2d"], given["view_mask"]
  met = multiview_lifters.nearest(points, given["scores"], mask, seen)
  apart = multiview_lifters.misfit(met, points, mask, seen)
  np.testing.assert_allclose(apart, 0, atol=1e-4)
  moved = points.at[:, 0, :, 2].add(0.25)
  apart = np.asarray(multiview_lifters.misfit(met, moved, mask, seen))
  np.testing.assert_allclose(apart[0, 0, :, 2], -0.25, atol=1e-4)
  np.testing.assert_allclose(np.delete(apart[0], 2, 2), 0, atol=1e-4)
  np.testing.assert_array_equal(apart[1], 0)  # one view alone has no points


def test_poses_of_all_cameras_are_averaged_in_world_axes():
  module = small.build(lifter="poseformer")
  x = small.inputs()
  x["view_mask"] = x["view_mask"].at[0, 1, 2].set(False)
  out = small.run(module, x)
  turned = np.einsum(
    "bvtjc,bvcd->bvtjd", out["joints_3d_camera"], np.asarray(x["camera_rotation"])
  )
  expected = turned.mean(1)
  expected[0, 2] = turned[0, [0, 2], 2].mean(0)
  np.testing.assert_allclose(out["joints_3d"], expected, atol=1e-5)
  assert (out["joints_3d"][:, :, 0] == 0).all()


@pytest.mark.parametrize("lifter_gradient", [False, True])
def test_gradients_reach_the_2d_network_if_asked(lifter_gradient):
  module = small.build(lifter_gradient=lifter_gradient)
  x, variables = small.inputs(t=2), small.start(module)
  rig = multiview_relations.Cameras(*(x[key] for key in small.CAMERAS))

  def loss(points):
    rest = (jnp.ones((2, 3, 2, 5)), x["view_mask"], rig)
    pose = module.apply(variables, points, *rest, method="lift")
    return (pose["joints_3d"] ** 2).sum()

  slope = jax.jit(jax.grad(loss), compiler_options=small.QUICK)(draw(2, 3, 2, 5, 2))
  assert bool((slope != 0).all()) == lifter_gradient
  assert bool((slope == 0).all()) != lifter_gradient


def test_remat_is_of_every_block_and_leaves_the_gradients():
  x = small.inputs(b=1, v=2, t=1)
  grid, slopes = draw(2, 6, 6, 12), []
  for remat in (False, True):
    module = small.build(remat=remat)
    program = jax.make_jaxpr(module.apply)(small.start(module), **x)
    names = [str(equation.primitive) for equation in program.eqns]
    again = sum(name in ("checkpoint", "remat", "remat2") for name in names)
    assert again == 6 * remat  # 2 of windows, 2 global, 1 of relations and the lifter
    spatial = parts.make_spatial(module)
    params = small.start(module)["params"]["spatial"]

    def loss(params, spatial=spatial):
      out = spatial.apply({"params": params}, grid, train=False)
      return (out["frame"] ** 2).sum() + (out["relevance_1"] ** 2).sum()

    run = jax.jit(jax.grad(loss), compiler_options=small.QUICK)
    slopes.append(run(params))

  def same(one, other):
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)

  jax.tree.map(same, *slopes)

"""Equality with tensors of the authors' PyTorch implementation."""

import functools
import json

import jax
import numpy as np
import pytest

from jaxpose import body as smpl
from jaxpose import convert
from jaxpose import geometry
from jaxpose.files import torch_file
from jaxpose.models import glot_parts

pytestmark = pytest.mark.numeric

MODELS = ["model_small", "full_width_hash_weights"]
each_model = pytest.mark.parametrize("name", MODELS)
NO_DROPS = dict.fromkeys(
  "dropout drop_path local_dropout local_drop_path regressor_dropout "
  "hscr_dropout".split(),
  0.0,
)
DUMMY = ("betas", "global_orient", "body_pose")


@functools.cache
def load(path):
  with np.load(path) as file:
    return dict(file)


def parts(data, prefix):
  return {k.removeprefix(prefix): v for k, v in data.items() if k.startswith(prefix)}


def hashed(n, count):
  """The closed formula of the golden files: uniform in [-1, 1)."""
  x = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B1)
  x += np.uint32(n * 0x85EBCA77 % 2**32)
  for shift, factor in ((15, 0x2C1B3C6D), (12, 0x297A2D39)):
    x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
  return (x ^ (x >> np.uint32(15))) / 2**31 - 1


def hashed_weights(data):
  weights = {}
  for n, name in enumerate(data["keys"].tolist()):
    shape = json.loads(str(data["shapes"][n]))
    value = data["f64/base"][n] + data["f64/amp"][n] * hashed(n, int(np.prod(shape)))
    weights[name] = value.astype(np.float32).reshape(shape)
  return weights | parts(data, "sd/")


def arrays_of_the_body(data):
  return parts(data, "sd/regressor.smpl.") or parts(data, "body/")


def body_of(data) -> smpl.Body:
  arrays = arrays_of_the_body(data)
  regressor = arrays["J_regressor"]
  return smpl.Body(
    template=arrays["v_template"],
    shape_dirs=arrays["shapedirs"],
    pose_dirs=arrays["posedirs"].reshape(207, -1, 3),
    joint_template=regressor @ arrays["v_template"],
    joint_shape_dirs=np.einsum("jm,mcs->jcs", regressor, arrays["shapedirs"]),
    weights=arrays["lbs_weights"],
    faces=np.zeros((1, 3), np.int32),
    extra_vertices=arrays["vertex_joint_selector.extra_joints_idxs"].astype(np.int32),
    extra_regressor=arrays["J_regressor_extra"],
    h36m_regressor=data["in/J_regressor_h36m"],
  )


class Golden:
  """A golden file, the network with its weights, and both passes."""

  def __init__(self, path):
    self.data = load(path)
    if "in/x" in self.data:
      self.weights = parts(self.data, "sd/")
      config = json.loads(str(self.data["config_json"]))
      heads = dict(heads=config["num_head"], local_heads=config["short_num_head"])
      self.x = self.data["in/x"]
    else:
      self.weights, heads = hashed_weights(self.data), {}
      u = hashed(1000, 3 * 16 * 2048)
      self.x = (u * u).astype(np.float32).reshape(3, 16, 2048)
    self.body = body_of(self.data)
    self.module, self.variables = convert.from_torch("glot", self.weights, **heads)

  @functools.cached_property
  def eval(self):
    run = jax.jit(functools.partial(self.module.apply, capture_intermediates=True))
    return run(self.variables, self.x)

  @functools.cached_property
  def train(self):
    module = self.module.clone(**NO_DROPS)
    run = jax.jit(
      lambda v, x, noise: module.apply(
        v, x, train=True, noise=noise, capture_intermediates=True
      )
    )
    return run(self.variables, self.x, self.data["in/noise"])


@functools.cache
def read(path):
  return Golden(path)


def golden_of(shared, name):
  return read(shared / "golden/glot" / f"{name}.npz")


def close(got, expected, atol):
  """Shapes may differ in the axis of a single frame."""
  got = np.asarray(got).reshape(expected.shape)
  np.testing.assert_allclose(got, expected, atol=atol, rtol=0)


@each_model
@pytest.mark.parametrize("case", ["eval49", "eval14", "train"])
@pytest.mark.parametrize("branch", ["final", "global"])
def test_outputs(shared, name, case, branch):
  golden = golden_of(shared, name)
  out, _ = golden.train if case == "train" else golden.eval
  want = parts(golden.data, f"out/{case}/{branch}/")
  prefix = "" if branch == "final" else "global_"
  rotations, betas, camera = (
    np.asarray(out[prefix + key]) for key in ("rotations", "betas", "camera")
  )
  posed = jax.tree.map(np.asarray, smpl.pose(golden.body, rotations, betas))
  joints = (smpl.joints_14 if case == "eval14" else smpl.joints_49)(golden.body, posed)
  axis_angle = want["theta"][..., 3:75].reshape(*want["rotmat"].shape[:-2], 3)
  turned = geometry.axis_angle_to_matrix(axis_angle)
  np.testing.assert_allclose(turned, want["rotmat"], atol=5e-5)
  atol = 1e-4  # what the golden files promise of float32
  close(rotations, want["rotmat"], atol)
  close(camera, want["theta"][..., :3], atol)
  close(betas, want["theta"][..., 75:], atol)
  close(joints, want["kp_3d"], atol)
  close(smpl.project(joints, camera), want["kp_2d"], atol)
  if "verts" in want:
    close(posed.vertices, want["verts"], atol)


@each_model
def test_frames_that_the_encoder_does_not_see(shared, name):
  golden = golden_of(shared, name)
  out, _ = golden.train
  mask = golden.data["out/train/mask"][..., 0]
  assert mask.sum(1).tolist() == [8, 8, 8]
  np.testing.assert_array_equal(out["mask"], mask)
  assert "mask" not in golden.eval[0]


# Names of activations in the golden files -> module that returns them.
ACTIVATIONS = {
  "global_proj": "global/proj",
  "global_block0": "global/encoder/block_0",
  "global_block1": "global/encoder/block_1",
  "global_mem": "global/encoder/norm",
  "dec_embed": "global/decoder_embed",
  "mask_token": "global/mask_token",
  "dec_block0": "global/decoder/block_0",
  "dec_out": "global/decoder/norm",
  "out_proj": "global/out_proj",
  "global_reg_in_feature": "global/out_proj",
  "short_proj": "local/proj",
  "local_block0": "local/encoder/block_0",
  "local_block1": "local/encoder/block_1",
  "local_block2": "local/encoder/block_2",
  "local_enc": "local/encoder/norm",
  "proj_mem": "local/memory_proj",
  "local_dec": "local/cross",
  "hscr_in_feature": "local/cross",
  "hscr_fc1": "hscr/shape_hidden",
  "hscr_fc2": "hscr/pose_hidden",
  "hscr_pose_residual": "hscr/tree",
}
# What HSCR starts from -> key of the output.
INITIAL = {
  "hscr_in_init_pose": "global_pose_6d",
  "hscr_in_init_shape": "global_betas",
  "hscr_in_init_cam": "global_camera",
}
# Inputs of blocks, which their first norm sees -> block.
BLOCK_INPUTS = {
  "global_block0_in": "global/encoder/block_0",
  "dec_block0_in": "global/decoder/block_0",
}


def layer_norm(x, scale, bias):
  x = np.float64(x)
  scale, bias = np.float64(scale), np.float64(bias)
  x = x - x.mean(-1, keepdims=True)
  return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * scale + bias


@each_model
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_every_activation(shared, name, mode):
  golden = golden_of(shared, name)
  out, state = getattr(golden, mode)
  params = golden.variables["params"]
  middle = slice(8, 9) if mode == "eval" else slice(7, 10)
  seen = set()
  for key, want in parts(golden.data, f"mid/{mode}/").items():
    if key in INITIAL:
      got = np.asarray(out[INITIAL[key]])
      got = got if mode == "eval" else got[:, middle]
    elif key in BLOCK_INPUTS:
      node, p = state["intermediates"], params
      for part in [*BLOCK_INPUTS[key].split("/"), "norm1"]:
        node, p = node[part], p[part]
      got = np.asarray(node["__call__"][0])
      want = layer_norm(want, **p)
    else:
      node = state["intermediates"]
      for part in ACTIVATIONS[key].split("/"):
        node = node[part]
      got = np.asarray(node["__call__"][0])
      if mode == "eval" and key == "out_proj":
        want = want[:, middle]  # only that frame is computed
      elif mode == "eval" and key == "local_dec":
        want = want[:, 1:2]
    close(got, want.astype(np.float32), 2e-5 * np.abs(want).max())
    seen.add(key)
  expected = {"model_small": {"eval": 25, "train": 26}}.get(name, {}).get(mode)
  assert len(seen) == expected or name != "model_small"


def test_pose_residual_of_each_joint_is_its_own_linear_layer(shared):
  golden = golden_of(shared, "model_small")
  hidden = golden.data["mid/eval/hscr_fc2"]
  pose = golden.data["mid/eval/hscr_in_init_pose"]
  parts_of = {}
  for j, ancestors in enumerate(glot_parts.ANCESTORS):
    weight = golden.weights[f"regressor.local_reg.joint_regs.{j}.weight"]
    bias = golden.weights[f"regressor.local_reg.joint_regs.{j}.bias"]
    inputs = [hidden, *(parts_of[a] for a in ancestors), pose[..., j : j + 6]]
    parts_of[j] = np.concatenate(inputs, -1) @ weight.T + bias
  got = np.concatenate([parts_of[j] for j in range(24)], -1)
  want = golden.data["mid/eval/hscr_pose_residual"]
  np.testing.assert_allclose(got, want, atol=1e-6)


# Checkpoint files.


@pytest.mark.parametrize(
  "file", ["checkpoint_small_legacy", "checkpoint_small_zip_module_prefix"]
)
def test_checkpoint_file_end_to_end(shared, file):
  golden = golden_of(shared, "model_small")
  path = shared / f"golden/glot/{file}.pth.tar"
  weights = torch_file.find_state_dict(torch_file.load(path))
  module, variables = convert.from_torch("glot", weights, heads=4, local_heads=4)
  assert module == golden.module
  jax.tree.map(np.testing.assert_array_equal, variables, golden.variables)
  out = jax.jit(module.apply)(variables, golden.x)
  close(out["rotations"], golden.data["out/eval49/final/rotmat"], 1e-5)


@each_model
def test_round_trip_of_the_state_dict(shared, name):
  golden = golden_of(shared, name)
  after = convert.to_torch("glot", golden.module, golden.variables)
  network = {k: v for k, v in golden.weights.items() if ".smpl." not in k}
  assert after.keys() == network.keys()
  dead = ("global_modeling.regressor.fc2.", "regressor.local_reg.dec")
  for key, array in network.items():
    expected = np.zeros_like(array) if key.startswith(dead) else array
    np.testing.assert_array_equal(after[key], expected)


def test_number_of_parameters_is_the_originals(shared):
  golden = golden_of(shared, "full_width_hash_weights")
  network = {k: v for k, v in golden.weights.items() if ".smpl." not in k}
  buffers = 144 + 10 + 3
  assert sum(a.size for a in network.values()) - buffers == 16_743_948
  used = sum(a.size for a in jax.tree.leaves(golden.variables["params"]))
  assert used == 16_743_948 - 1_049_600 - 13_325

"""GLoT's weights from PyTorch files and back."""

import json

import jax
import numpy as np
import pytest

from jaxpose import body as bodies
from jaxpose import convert
from jaxpose.body import body_files
from jaxpose.convert import glot_torch
from jaxpose.files import torch_file
from jaxpose.models import glot
from jaxpose.weights import pretrained
from tests import torch_writer
from tests.body_files_test import smplx_arrays

TINY = dict(
  window=8,
  feat_dim=12,
  width=16,
  decoder_width=8,
  mask_hidden=(6, 10),
  local_width=8,
  local_depth=2,
  nearby=2,
  regressor_hidden=10,
  hscr_hidden=14,
)


def tiny(**fields):
  return glot.build(**{**TINY, "joint_offset_quirk": True, **fields})


def random_variables(module, seed=0):
  x = np.zeros((1, *module.input_shape), np.float32)
  shapes = jax.eval_shape(module.init, jax.random.key(0), x)
  rng = np.random.default_rng(seed)
  return jax.tree.map(lambda s: rng.normal(size=s.shape).astype(np.float32), shapes)


def state_dict(**fields):
  module = tiny(**fields)
  return glot_torch.write(module, random_variables(module))


def body(m=5):
  rng = np.random.default_rng(1)
  shapes = dict(v_template=(m, 3), shapedirs=(m, 3, 10), lbs_weights=(m, 24))
  arrays = {k: rng.normal(size=s).astype(np.float32) for k, s in shapes.items()}
  return arrays | {"parents": np.arange(24)}


def with_body(weights):
  prefixes = ("regressor.smpl.", "global_modeling.regressor.smpl.")
  return weights | {p + k: a for p in prefixes for k, a in body().items()}


def torch_bytes(weights, prefix="module."):
  """A checkpoint as the authors' training writes it."""
  storages = {str(i): array for i, array in enumerate(weights.values())}
  tensors = {
    f"{prefix}{name}": torch_writer.whole(str(i), array)
    for i, (name, array) in enumerate(weights.items())
  }
  value = {"epoch": 7, "gen_state_dict": tensors}
  return torch_writer.container_bytes("zip", value, storages)


def equal(one, other):
  jax.tree.map(np.testing.assert_array_equal, one, other)


# State dicts.


def test_round_trip_of_variables_is_lossless():
  module = tiny()
  before = random_variables(module)
  exported = convert.to_torch("glot", module, before)
  other, after = convert.from_torch("glot", exported)
  assert other == module
  equal(before, after)
  assert all(isinstance(array, jax.Array) for array in jax.tree.leaves(after))


def test_round_trip_of_a_state_dict_is_lossless_but_for_what_is_never_used():
  before = state_dict()
  rng = np.random.default_rng(2)
  unused = glot_torch.unused(tiny())
  assert len(unused) == 6
  before |= {k: rng.normal(size=s).astype(np.float32) for k, s in unused.items()}
  after = convert.to_torch("glot", *convert.from_torch("glot", before))
  assert before.keys() == after.keys()
  for name, array in before.items():
    assert after[name].dtype == array.dtype
    expected = np.zeros_like(array) if name in unused else array
    np.testing.assert_array_equal(after[name], expected)


def test_names_and_shapes_of_the_export_are_the_originals():
  shapes = {name: a.shape for name, a in state_dict().items()}
  assert len(shapes) == 174 - 12  # the published network has one local block more
  tree = "regressor.local_reg.joint_regs"
  assert shapes[f"{tree}.0.weight"] == (6, 14 + 6)
  assert shapes[f"{tree}.22.weight"] == (6, 14 + 6 * 8 + 6)
  assert shapes["local_trans_de.kv_l.weight"] == (16, 8)
  assert shapes["global_modeling.trans.mask_token_mlp.0.weight"] == (6, 157)
  assert shapes["global_modeling.regressor.init_pose"] == (1, 144)
  assert shapes["regressor.deccam.weight"] == (3, 2 * 14 + 3)


def test_prefix_body_and_unused_tensors_may_be_there_or_not():
  weights = state_dict()
  expected = convert.from_torch("glot", weights)
  unused = glot_torch.unused(tiny())
  lean = {k: a for k, a in weights.items() if k not in unused}
  prefixed = {f"module.{name}": array for name, array in with_body(weights).items()}
  for other in (lean, prefixed):
    module, variables = convert.from_torch("glot", other)
    assert module == expected[0]
    equal(variables, expected[1])


def test_exported_tensors_are_whole_copies():
  module = tiny()
  variables = random_variables(module)
  for array in convert.to_torch("glot", module, variables).values():
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert not any(np.shares_memory(array, a) for a in jax.tree.leaves(variables))


def test_options_are_what_the_tensors_leave_open():
  module, _ = convert.from_torch(
    "glot", state_dict(), heads=4, local_heads=2, mask_ratio=0.25, dtype="bfloat16"
  )
  assert (module.heads, module.local_heads, module.cross_heads) == (4, 2, 8)
  assert module.mask_ratio == 0.25
  assert module.dtype == np.dtype("bfloat16")


def test_quirk_of_the_released_code_is_on_unless_given():
  weights = state_dict()
  assert convert.from_torch("glot", weights)[0].joint_offset_quirk
  other, _ = convert.from_torch("glot", weights, joint_offset_quirk=False)
  assert not other.joint_offset_quirk


@pytest.mark.parametrize(
  ("change", "options", "sentence"),
  [
    ({}, dict(variant="glt"), "unknown GLoT variant 'glt'; nearest: glot, "),
    ({}, dict(head=8), "GLoT has no field 'head'; nearest: heads, "),
    ({}, dict(width=32), "got width 32, expected 16, as in the file's tensors; leave"),
    ({}, dict(mask_hidden=[6]), r"got mask_hidden \[6\], expected \(6, 10\)"),
    ({}, dict(encoder="keypoints"), "got encoder 'keypoints', expected 'features': "),
    ({"proj_short.weight": None}, {}, "not a GLoT state dict: got 'global_modeling."),
    ({"proj_mem.bias": None}, {}, r"1 tensors missing \(such as 'proj_mem.bias'\), 0"),
    ({"proj_mem.more": np.ones(2)}, {}, r"1 unexpected \(such as 'proj_mem.more'\)"),
    ({"proj_mem.bias": np.ones(2)}, {}, r"'proj_mem.bias': got shape \(2,\), expect"),
    ({"proj_mem.bias": np.ones(8, int)}, {}, "'proj_mem.bias': got the type int64"),
    ({"proj_mem.bias": np.ones(8) * np.nan}, {}, "'proj_mem.bias': got NaN or numb"),
    ({"proj_mem.bias": np.ones(8) * 1e300}, {}, "'proj_mem.bias': got NaN or numb"),
  ],
)
def test_state_dicts_that_do_not_fit_are_refused(change, options, sentence):
  weights = {k: v for k, v in (state_dict() | change).items() if v is not None}
  with pytest.raises(ValueError, match=sentence):
    convert.from_torch("glot", weights, **options)


def test_networks_without_an_original_are_not_exported():
  module = tiny(encoder="keypoints")
  with pytest.raises(ValueError, match="there is no PyTorch file of it"):
    convert.to_torch("glot", module, {})


def test_variables_of_another_module_are_not_exported():
  variables = random_variables(tiny(width=8))
  with pytest.raises(ValueError, match="without a fitting params/global/"):
    convert.to_torch("glot", tiny(), variables)
  with pytest.raises(ValueError, match="without a fitting constants/"):
    convert.to_torch("glot", tiny(), {"params": random_variables(tiny())["params"]})


def test_body_of_a_checkpoint():
  equal(glot_torch.body_arrays(with_body(state_dict())), body())
  with pytest.raises(ValueError, match="got a file without an SMPL body, expected te"):
    glot_torch.body_arrays(state_dict())


# The command.


@pytest.fixture
def command(tmp_path, capsys):
  """Runs the command in this process: (exit code, stdout, stderr, folder)."""

  def run(content, *options, model="glot"):
    path, out = tmp_path / "weights.pth.tar", tmp_path / "out"
    path.write_bytes(content)
    code = 0
    try:
      convert.main([f"--model={model}", f"--torch={path}", f"--out={out}", *options])
    except SystemExit as stop:
      code = stop.code
    text = capsys.readouterr()
    return code, text.out, text.err, out

  return run


def test_command_writes_weights_that_predict_the_same(command):
  weights = state_dict()
  code, text, hints, out = command(torch_bytes(weights))
  assert code == 0
  assert "glot glot: width 16, features of 12 channels in, SMPL parameters" in text
  assert str(out / "weights.npz") in text
  assert "taken for heads 8 and local_heads 8, as published" in hints
  loaded = pretrained.load(out)
  module, variables = convert.from_torch("glot", weights)
  assert loaded.module == module
  assert (loaded.inputs, loaded.window) == (("features",), 8)
  assert loaded.skeleton.name == "spin49"
  equal(loaded.variables, variables)
  assert not (out / "body.npz").exists()
  config = json.loads((out / "config.json").read_text())
  assert config["info"]["epoch"] == 7
  assert config["model"]["joint_offset_quirk"] is True


def test_command_takes_the_heads(command):
  options = ["--heads=4", "--local_heads=2"]
  code, _, hints, out = command(torch_bytes(state_dict()), *options)
  assert (code, hints) == (0, "")
  module = pretrained.load(out).module
  assert (module.heads, module.local_heads) == (4, 2)


def test_command_extracts_the_body_and_never_overwrites_it(command):
  content = torch_bytes(with_body(state_dict()))
  code, text, _, out = command(content, "--extract_body")
  assert code == 0
  assert f"body: {out / 'body.npz'}" in text
  with np.load(out / "body.npz", allow_pickle=False) as file:
    equal(dict(file), body())
  for name in ("weights.npz", "config.json"):
    (out / name).unlink()
  code, *_ = command(content, "--extract_body")
  assert "body.npz exists and is never overwritten" in code
  assert [path.name for path in out.iterdir()] == ["body.npz"]


@pytest.mark.parametrize("name", ["body.npz", "free_small"])
def test_converted_network_drives_the_body_of_its_checkpoint_or_a_free_one(
  command, name
):
  prefixes = ("regressor.smpl.", "global_modeling.regressor.smpl.")
  arrays = {p + k: a for p in prefixes for k, a in smplx_arrays().items()}
  code, *_, out = command(torch_bytes(state_dict() | arrays), "--extract_body")
  assert code == 0
  path = str(out / name) if name == "body.npz" else name
  loaded = pretrained.load(out)
  module = loaded.module.clone(body=path)
  features = np.random.default_rng(3).normal(size=(2, *module.input_shape))
  got = jax.jit(module.apply)(loaded.variables, features.astype(np.float32))
  assert got["joints_3d"].shape == (2, 1, 49, 3)
  assert got["keypoints_2d"].shape == (2, 1, 49, 2)
  model = body_files.load(path)
  assert len(model.template) == (60 if name == "body.npz" else 1500)
  rotations, betas = (np.asarray(got[key]) for key in ("rotations", "betas"))
  joints = bodies.joints_49(model, bodies.pose(model, rotations, betas))
  np.testing.assert_allclose(got["joints_3d"], joints, atol=5e-4, rtol=5e-4)
  assert np.isfinite(got["keypoints_2d"]).all()


def test_command_without_a_body_to_extract_writes_nothing(command):
  code, text, _, out = command(torch_bytes(state_dict()), "--extract_body")
  assert "error: got a file without an SMPL body" in code
  assert text == ""
  assert not out.exists()


def test_body_of_another_model_is_refused(command):
  from tests import convert_test

  content = convert_test.torch_bytes(convert_test.state_dict())
  code, _, _, out = command(content, "--extract_body", model="gla_gcn")
  assert "got --extract_body for the model 'gla_gcn', expected 'glot'" in code
  assert not out.exists()


def test_legacy_container_of_the_golden_files_is_read(shared):
  path = shared / "golden/glot/checkpoint_small_legacy.pth.tar"
  weights = torch_file.find_state_dict(torch_file.load(path))
  arrays = glot_torch.body_arrays(weights)
  assert arrays["v_template"].shape == (60, 3)
  assert arrays["J_regressor_extra"].shape == (9, 60)

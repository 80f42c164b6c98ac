"""Weights from PyTorch files and back; the command runs without torch."""

import json
import os
import pathlib
import pickle
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxpose import convert
from jaxpose.convert import gla_gcn_torch
from jaxpose.models import gla_gcn
from jaxpose.train import training
from jaxpose.weights import pretrained
from tests import gla_gcn_reference
from tests import torch_writer

ROOT = pathlib.Path(__file__).resolve().parent.parent


def tiny(variant="s_agcn", **fields):
  return gla_gcn.build(variant, **{"width": 8, "filter_widths": (3,), **fields})


def state_dict(variant="s_agcn", **fields):
  module = tiny(variant, **fields)
  return gla_gcn_torch.write(module, gla_gcn_reference.random_variables(module))


def torch_bytes(weights, **more) -> bytes:
  """A checkpoint as the authors' training writes it."""
  storages = {str(i): array for i, array in enumerate(weights.values())}
  tensors = {
    f"module.{name}": torch_writer.whole(str(i), array)
    for i, (name, array) in enumerate(weights.items())
  }
  value = {"epoch": 7, "lr": 0.5, "model_pos": tensors, **more}
  return torch_writer.container_bytes("zip", value, storages)


@pytest.fixture
def command(tmp_path, capsys):
  """Runs the command in this process: (exit code, stdout, stderr)."""

  def run(name="weights.bin", *options, content=None):
    path = tmp_path / name
    if content is not None:
      path.write_bytes(content)
    out = tmp_path / "out"
    argv = ["--model=gla_gcn", f"--torch={path}", f"--out={out}", *options]
    code = 0
    try:
      convert.main(argv)
    except SystemExit as stop:
      code = stop.code
    text = capsys.readouterr()
    return code, text.out, text.err, out

  return run


# State dicts.


@pytest.mark.parametrize(
  "variant", ["s_agcn", "s_agcn_humaneva", "s_agcn_humaneva_mrcnn"]
)
def test_round_trip_of_a_state_dict_is_lossless(variant):
  before = state_dict(variant, filter_widths=(3, 3))
  module, variables = convert.from_torch("gla_gcn", before, variant=variant)
  after = convert.to_torch("gla_gcn", module, variables)
  assert before.keys() == after.keys()
  for name, array in before.items():
    assert after[name].dtype == array.dtype
    np.testing.assert_array_equal(after[name], array)


def test_round_trip_of_variables_is_lossless():
  module = tiny(filter_widths=(3, 3))
  before = gla_gcn_reference.random_variables(module)
  exported = convert.to_torch("gla_gcn", module, before)
  other, after = convert.from_torch("gla_gcn", exported)
  assert other == module
  jax.tree.map(np.testing.assert_array_equal, before, after)
  assert all(isinstance(array, jax.Array) for array in jax.tree.leaves(after))


def test_exported_tensors_are_whole_copies():
  module = tiny()
  variables = gla_gcn_reference.random_variables(module)
  for array in convert.to_torch("gla_gcn", module, variables).values():
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert not any(np.shares_memory(array, a) for a in jax.tree.leaves(variables))


def test_names_and_shapes_of_the_export_are_the_originals():
  weights = state_dict(width=8, filter_widths=(3, 3, 3))
  assert len(weights) == 238
  assert weights["layers_tcngcn.5.tcn1.conv.weight"].shape == (8, 8, 9, 1)
  assert weights["expand_gcn.gcn1.down.0.weight"].shape == (8, 2, 1, 1)
  assert weights["expand_gcn.residual.bn.running_var"].shape == (8,)
  assert weights["fc.weight"].shape == (3, 8, 1)
  assert weights["data_bn.num_batches_tracked"].dtype == np.int64


def test_prefix_of_parallel_training_is_stripped():
  weights = state_dict()
  prefixed = {f"module.{name}": array for name, array in weights.items()}
  trees = [convert.from_torch("gla_gcn", w)[1] for w in (weights, prefixed)]
  jax.tree.map(np.testing.assert_array_equal, *trees)


def test_options_are_what_the_tensors_leave_open():
  weights = state_dict()
  module, _ = convert.from_torch(
    "gla_gcn",
    weights,
    graph="h36m_legacy_2021",
    filter_widths=(5,),
    dtype="bfloat16",
    remat=True,
  )
  assert (module.graph, module.width) == ("h36m_legacy_2021", 8)
  assert module.receptive_field == 5
  assert module.dtype == jnp.bfloat16
  assert module.remat


def test_fresh_detected_keypoint_network_exports_a_neutral_input_norm():
  module = tiny("s_agcn_humaneva_mrcnn")
  variables = gla_gcn_reference.random_variables(module)
  assert "input_bn" not in variables["params"]
  weights = convert.to_torch("gla_gcn", module, variables)
  np.testing.assert_array_equal(weights["data_bn.running_var"], np.ones(30))
  np.testing.assert_array_equal(weights["data_bn.bias"], np.zeros(30))


@pytest.mark.parametrize(
  ("change", "options", "sentence"),
  [
    ({}, dict(variant="s_gcn"), "unknown GLA-GCN variant 's_gcn'; nearest: s_agcn, "),
    ({}, dict(grph="h36m"), "no field 'grph'; nearest: graph, "),
    ({}, dict(width=16), "got width 16, expected 8"),
    ({}, dict(filter_widths=(3, 3)), r"got filter_widths \(3, 3\), expected 1 of them"),
    ({}, dict(graph="humaneva15"), "with 15 joints, expected one with the 17 joints"),
    ({}, dict(variant="gla_gcn"), "never released as PyTorch code"),
    ({"fc.weight": None}, {}, "not a GLA-GCN state dict: got 'data_bn.bias', "),
    ({"fc.bias": None}, {}, r"1 tensors missing \(such as 'fc.bias'\), 0 unexpected"),
    ({"fc.more": np.ones(2)}, {}, r"0 tensors missing, 1 unexpected \(such as 'fc.m"),
    ({"fc.bias": np.ones(2)}, {}, r"'fc.bias': got shape \(2,\), expected \(3,\)"),
    ({"fc.bias": np.ones(3, int)}, {}, "'fc.bias': got the type int64, expected a fl"),
    ({"fc.bias": np.ones(3) * np.nan}, {}, "'fc.bias': got NaN or numbers beyond"),
    ({"fc.bias": np.ones(3) * 1e300}, {}, "'fc.bias': got NaN or numbers beyond"),
    ({"layers_tcngcn.9999999999.x": np.ones(2)}, {}, "1 unexpected"),
  ],
)
def test_state_dicts_that_do_not_fit_are_refused(change, options, sentence):
  weights = {k: v for k, v in (state_dict() | change).items() if v is not None}
  with pytest.raises(ValueError, match=sentence):
    convert.from_torch("gla_gcn", weights, **options)


def test_unknown_model_is_refused_with_the_nearest_names():
  with pytest.raises(ValueError, match=r"layout of the model 'gcn'; nearest: gla_gcn"):
    convert.from_torch("gcn", {})


def test_networks_without_an_original_are_not_exported():
  module = tiny("gla_gcn")
  with pytest.raises(ValueError, match="never released as PyTorch code"):
    convert.to_torch("gla_gcn", module, {})


def test_variables_of_another_module_are_not_exported():
  variables = gla_gcn_reference.random_variables(tiny(width=16))
  with pytest.raises(ValueError, match="without a fitting params/"):
    convert.to_torch("gla_gcn", tiny(), variables)
  with pytest.raises(ValueError, match="without a fitting params/input_bn/scale"):
    convert.to_torch("gla_gcn", tiny(), {})


# The command.


def test_command_writes_weights_that_predict_the_same(command):
  weights = state_dict()
  code, text, hints, out = command(
    "weights.bin", "--info", "data=h36m_gt", content=torch_bytes(weights)
  )
  assert code == 0
  assert "s_agcn: graph h36m, width 8, 17 joints in (h36m17)" in text
  assert "receptive field 3 frames" in text
  assert str(out / "weights.npz") in text
  assert "--graph=h36m_legacy_2021" in hints
  loaded = pretrained.load(out)
  module, variables = convert.from_torch("gla_gcn", weights)
  assert loaded.module == module
  assert f"{sum(a.size for a in jax.tree.leaves(variables['params'])):,} param" in text
  jax.tree.map(np.testing.assert_array_equal, loaded.variables, variables)
  config = json.loads((out / "config.json").read_text())
  assert config["model"]["width"] == 8
  assert config["info"]["epoch"] == 7
  assert config["info"]["data"] == "h36m_gt"
  assert config["info"]["converted_from"] == "weights.bin"
  assert config == pretrained.describe(loaded)


def test_command_converts_the_network_for_detected_keypoints(command):
  weights = state_dict("s_agcn_humaneva_mrcnn")
  code, text, hints, out = command(
    "weights.bin", "--variant=s_agcn_humaneva_mrcnn", content=torch_bytes(weights)
  )
  assert (code, hints) == (0, "")
  assert "17 joints in (coco17), 15 out (humaneva15)" in text
  loaded = pretrained.load(out)
  assert loaded.input_skeleton.name == "coco17"
  assert loaded.skeleton.name == "humaneva15"
  pose = jax.jit(loaded.module.apply)(loaded.variables, np.zeros((1, 3, 17, 2), "f4"))
  assert pose["joints_3d"].shape == (1, 1, 15, 3)


def test_command_hints_at_the_other_network_with_15_joints(command):
  content = torch_bytes(state_dict("s_agcn_humaneva"))
  _, text, hints, _ = command(content=content)
  assert "gla_gcn s_agcn_humaneva:" in text
  assert "--variant=s_agcn_humaneva_mrcnn" in hints


@pytest.mark.parametrize(
  ("name", "frames"),
  [
    ("8_cpn_ft_h36m_dbb_243_supervised.bin", "243"),
    ("8_gt_27_supervised_epoch_819.bin", "27"),
    ("8_gt_3_supervised.bin", None),
  ],
)
def test_command_compares_the_frames_in_the_name(command, name, frames):
  code, _, hints, _ = command(name, content=torch_bytes(state_dict()))
  assert code == 0
  if frames:
    assert f"{name!r} says {frames} frames" in hints
    assert "filter_widths (3,) see 3;" in hints
  else:
    assert "warning" not in hints


def test_command_takes_graph_and_widths(command):
  content = torch_bytes(state_dict(filter_widths=(5, 5)))
  options = ["--graph=h36m_legacy_2021", "--filter_widths=5,5"]
  code, text, hints, out = command("8_gt_25_supervised.bin", *options, content=content)
  assert (code, hints) == (0, "")
  assert "graph h36m_legacy_2021" in text
  loaded = pretrained.load(out)
  assert loaded.window == 25
  assert loaded.skeleton.name == "h36m17"


def test_command_never_overwrites(command):
  content = torch_bytes(state_dict())
  *_, out = command(content=content)
  before = {path.name: path.read_bytes() for path in out.iterdir()}
  code, text, _, _ = command()
  assert text == ""
  assert code.startswith("error: ")
  assert "weights.npz exists and is never overwritten" in code
  assert before == {path.name: path.read_bytes() for path in out.iterdir()}
  (out / "weights.npz").unlink()  # as in the folder of a training run
  code, *_ = command()
  assert "config.json exists and is never overwritten" in code
  assert not (out / "weights.npz").exists()


def test_command_refuses_a_file_as_folder(command, tmp_path):
  (tmp_path / "out").write_text("")
  code, *_ = command(content=torch_bytes(state_dict()))
  assert "out is a file, expected a folder" in code


class Hostile:
  """Makes a folder when Python's pickle reads it."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return os.mkdir, (str(self.path),)


def hostile_bytes(marker) -> bytes:
  pickled = pickle.dumps({"model_pos": Hostile(marker)}, 2)
  marker.mkdir()
  with pytest.raises(FileExistsError):  # the payload is live
    pickle.loads(pickled)
  marker.rmdir()
  return torch_writer.zip_bytes(pickled)


def wrong_model() -> bytes:
  return torch_bytes({"encoder.weight": np.ones((2, 3), np.float32)})


@pytest.mark.parametrize(
  ("content", "sentence"),
  [
    (lambda marker: hostile_bytes(marker), "refused: it asks for .*nothing was exec"),
    (lambda marker: torch_bytes(state_dict())[:20_000], "truncated or damaged"),
    (lambda marker: wrong_model(), "not a GLA-GCN state dict: got 'encoder.weight'"),
    (lambda marker: b"<html>", "not a PyTorch checkpoint: it begins with"),
    (lambda marker: None, "no such file; check the path"),
  ],
  ids=["hostile", "truncated", "wrong_model", "web_page", "absent"],
)
def test_command_refuses_in_one_sentence_and_executes_nothing(
  command, tmp_path, content, sentence
):
  marker = tmp_path / "marker"
  code, text, _, out = command("bad.bin", content=content(marker))
  assert isinstance(code, str)  # the interpreter prints it and exits with 1
  assert text == ""
  assert code.startswith("error: ")
  assert "\n" not in code
  assert re.search(sentence, code)
  assert not marker.exists()
  assert not out.exists()


@pytest.mark.parametrize("option", ["--filter_widths=3,x", "--info=h36m", "--modle=x"])
def test_command_refuses_mistyped_options(command, option):
  code, _, error, _ = command("weights.bin", option, content=b"")
  assert code == 2
  assert "error: " in error


def test_init_from_takes_converted_weights_that_fit(command):
  *_, out = command(content=torch_bytes(state_dict()))
  loaded = pretrained.load(out)
  tx = optax.sgd(0.1)

  def fresh(**fields):  # shapes alone
    example = (jnp.zeros((1, 3, 17, 2)),)
    return jax.eval_shape(
      lambda: training.init_state(tiny(**fields), tx, example, seed=0)
    )

  state = training.start_from(fresh(), tx, str(out))
  jax.tree.map(np.testing.assert_array_equal, state.params, loaded.variables["params"])
  got, want = state.model_state["batch_stats"], loaded.variables["batch_stats"]
  jax.tree.map(np.testing.assert_array_equal, got, want)
  with pytest.raises(ValueError, match=r"set config\.model to the model of these"):
    training.start_from(fresh(width=16), tx, str(out))


# In a process of its own, in which torch cannot be imported.

PROGRAM = """
import runpy, sys
sys.modules["torch"] = None
sys.argv[0] = "convert"
try:
  runpy.run_module("jaxpose.convert", run_name="__main__")
finally:
  assert sys.modules["torch"] is None
  assert not [name for name in sys.modules if name.startswith("torch.")]
"""


def run_without_torch(path, out):
  arguments = ["--model=gla_gcn", f"--torch={path}", f"--out={out}"]
  return subprocess.run(
    [sys.executable, "-c", PROGRAM, *arguments],
    cwd=ROOT,
    capture_output=True,
    text=True,
    timeout=120,
  )


def test_process_without_torch_converts(tmp_path):
  path = tmp_path / "weights.bin"
  path.write_bytes(torch_bytes(state_dict()))
  done = run_without_torch(path, tmp_path / "out")
  assert done.returncode == 0, done.stderr
  assert pretrained.load(tmp_path / "out").window == 3


def test_process_refuses_a_hostile_file_without_a_traceback(tmp_path):
  path, marker = tmp_path / "weights.bin", tmp_path / "marker"
  path.write_bytes(hostile_bytes(marker))
  done = run_without_torch(path, tmp_path / "out")
  assert done.returncode == 1
  assert done.stdout == ""
  assert done.stderr.startswith(f"error: {path}: refused: it asks for ")
  assert done.stderr.count("\n") == 1
  assert not marker.exists()
  assert not (tmp_path / "out").exists()


def test_authors_file_gives_the_authors_output(shared, tmp_path):
  folder = shared / "golden/gla_gcn"
  name = "checkpoint_layout_h36m_rf27_c8"
  done = run_without_torch(folder / f"{name}.bin", tmp_path / "out")
  assert done.returncode == 0, done.stderr
  loaded = pretrained.load(tmp_path / "out")
  data = np.load(folder / f"{name}_io.npz")
  got = jax.jit(loaded.module.apply)(loaded.variables, data["input"])["joints_3d"]
  np.testing.assert_allclose(got, data["output"], atol=2e-5, rtol=0)

"""Small training runs inside the tests' process."""

import json
import pathlib
import struct

import flax.linen as nn
import jax
import numpy as np
from tensorboardX.proto import event_pb2

from jaxpose import train
from jaxpose.config import base_config
from jaxpose.files import resources
from jaxpose.models.layers import BatchNorm
from jaxpose.weights.checkpoint import Checkpoints


def get_config(name: str, variant: str | None = None):
  """A config of `configs/`, by name or path."""
  path = pathlib.Path(name)
  if not path.is_file():
    path = resources.folder("configs") / f"{name}.py"
  scope: dict = {}
  exec(compile(path.read_text(), str(path), "exec"), scope)
  return scope["get_config"](variant) if variant else scope["get_config"]()


class Lifter(nn.Module):
  """A model that compiles fast and has all that a loop must handle.

  Attributes:
    width: hidden channels.
    dropout: of the hidden channels.
    variant: a label.
  """

  width: int = 8
  dropout: float = 0.1
  variant: str = "lifter"

  @nn.compact
  def __call__(self, keypoints_2d, train: bool = False, bn_momentum=0.1):
    """Lifts every frame on its own."""
    b, t, j, _ = keypoints_2d.shape
    x = nn.Dense(self.width)(keypoints_2d.reshape(b, t, 2 * j))
    x = BatchNorm(name="bn")(x, train=train, momentum=bn_momentum)
    x = nn.Dropout(self.dropout, deterministic=not train)(nn.relu(x))
    joints = nn.Dense(3 * j)(x).reshape(b, t, j, 3)
    return dict(joints_3d=joints[:, t // 2][:, None], joints_3d_sequence=joints)


def small(data_dir, **knobs):
  """Four steps of a `Lifter` on `synthetic_motion/tiny`: flips and dropout."""
  config = base_config()
  config.model = dict(name="lifter", width=8)
  config.losses = dict(
    joints=dict(fn="mpjpe", key="joints_3d", weight=1.0),
    sequence=dict(fn="mpjpe", key="joints_3d_sequence", weight=0.5),
  )
  config.data.builder_config = "tiny"
  config.data.data_dir = str(data_dir)
  config.data.window = 3
  config.data.batch_size = 16
  config.schedule = dict(name="warmup_cosine", base=4e-3, final=1e-5, warmup_steps=1)
  config.total_steps = 4
  config.log_every = 1
  for key, value in knobs.items():
    if key in config.data:
      config.data[key] = value
    else:
      config[key] = value
  return config


def six_steps(data_dir, **knobs):
  """Six steps with every random and scheduled part; takes longer to compile."""
  config = small(data_dir, total_steps=6, **knobs)
  config.augment = dict(
    flip=True,
    virtual_camera=True,
    detector_noise=0.5,
    joint_dropout=0.1,
    label_jitter=True,
  )
  config.call_schedules = dict(
    bn_momentum=dict(name="warmup_cosine", base=0.2, final=0.05, warmup_steps=1)
  )
  return config


def run(config, workdir, monkeypatch, devices: int = 1) -> dict[str, float]:
  """`train.train` with `Lifter` among the models, on the first devices only."""
  chosen = jax.devices()[:devices]
  with monkeypatch.context() as patch:
    patch.setitem(train.models.MODELS, "lifter", Lifter)
    patch.setattr(jax, "devices", lambda *_: chosen)
    return train.train(config, str(workdir))


def arrays(workdir, step: int | None = None) -> dict[str, np.ndarray]:
  """The arrays of a run's checkpoint, its last if no step is given, by path."""
  with Checkpoints(workdir, read_only=True) as checkpoints:
    state = checkpoints.load(step or checkpoints.steps[-1])
  return {
    jax.tree_util.keystr(path): np.asarray(leaf)
    for path, leaf in jax.tree_util.tree_leaves_with_path(state)
  }


def assert_bit_equal(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
  """Same names, and every array the same bits."""
  assert a.keys() == b.keys()
  assert len(a) > 10
  for key in a:
    assert a[key].dtype == b[key].dtype, key
    np.testing.assert_array_equal(a[key], b[key], err_msg=key)


def metrics(workdir) -> list[dict]:
  """The lines of metrics.jsonl."""
  return [json.loads(line) for line in (workdir / "metrics.jsonl").open()]


def events(workdir) -> list[event_pb2.Event]:
  """Every TensorBoard event; a TFRecord is length, checksum, data, checksum."""
  found = []
  for path in sorted((workdir / "events").iterdir()):
    raw, at = path.read_bytes(), 0
    while at < len(raw):
      (length,) = struct.unpack_from("<Q", raw, at)
      found.append(event_pb2.Event.FromString(raw[at + 12 : at + 12 + length]))
      at += 16 + length
    assert at == len(raw)
  return found


def scalars(workdir) -> dict[tuple[str, int], float]:
  """(tag, step) to value, of the events."""
  return {
    (value.tag, event.step): value.simple_value
    for event in events(workdir)
    for value in event.summary.value
  }

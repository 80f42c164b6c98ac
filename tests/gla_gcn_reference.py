"""The released GLA-GCN in plain NumPy, and random weights to compare it with."""

import jax
import jax.numpy as jnp
import numpy as np


def random_variables(module, seed: int = 0) -> dict:
  """Variables in which nothing is zero, one or switched off, unlike fresh ones."""
  rng = np.random.default_rng(seed)
  shape = (1, module.receptive_field, module.num_joints, 2)
  shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros(shape))

  def draw(path, leaf):
    name = path[-1].key
    if name in ("var", "scale"):
      return rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
    scale = np.prod(leaf.shape[:-1]) ** -0.5 if "kernel" in name else 0.3
    return rng.normal(0, scale, leaf.shape).astype(np.float32)

  return jax.tree_util.tree_map_with_path(draw, shapes)


def forward(state_dict, keypoints_2d, widths, graph, input_norm=True):
  """Centre pose (b, 1, v, 3) and the modules' outputs by the original's names.

  Follows the original's layout, arrays (b, c, t, v), its state dict and nothing of
  ours; float64.
  """
  w = {name: np.asarray(array, np.float64) for name, array in state_dict.items()}
  seen = {}

  def norm(x, name):
    mean, var, scale, bias = (
      w[f"{name}.{key}"].reshape(-1, 1, 1)
      for key in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / np.sqrt(var + 1e-5) * scale + bias

  def conv(x, name, stride=1):
    kernel = w[f"{name}.weight"][..., 0]  # o i k
    k = kernel.shape[2]
    x = np.pad(x, ((0, 0), (0, 0), (k // 2, k // 2), (0, 0)))
    starts = range(0, x.shape[2] - k + 1, stride)
    y = [np.einsum("bikv,oik->bov", x[:, :, s : s + k], kernel) for s in starts]
    return np.stack(y, 2) + w[f"{name}.bias"].reshape(-1, 1, 1)

  def gcn(x, name):
    y, softmax = 0, []
    for k in range(3):
      a, b = conv(x, f"{name}.conv_a.{k}"), conv(x, f"{name}.conv_b.{k}")
      data = np.exp(np.einsum("bctu,bctv->buv", a, b) / (a.shape[1] * a.shape[2]))
      softmax.append(data / data.sum(1, keepdims=True))
      mixed = softmax[-1] + graph[k] + w[f"{name}.PA"][k]
      y = y + conv(np.einsum("bctu,buv->bctv", x, mixed), f"{name}.conv_d.{k}")
    if f"{name}.down.0.weight" in w:
      x = norm(conv(x, f"{name}.down.0"), f"{name}.down.1")
    seen[f"{name}.softmax"] = np.stack(softmax)
    seen[name] = np.maximum(norm(y, f"{name}.bn") + x, 0)
    return seen[name]

  def block(x, name, stride=1):
    y = conv(gcn(x, f"{name}.gcn1"), f"{name}.tcn1.conv", stride)
    y = norm(y, f"{name}.tcn1.bn")
    if f"{name}.residual.conv.weight" in w:
      y = y + norm(conv(x, f"{name}.residual.conv"), f"{name}.residual.bn")
    elif stride == 1:
      y = y + x
    seen[name] = np.maximum(y, 0)
    return seen[name]

  x = np.asarray(keypoints_2d, np.float64)
  b, t, v, _ = x.shape
  x = x.reshape(b, t, 2 * v).transpose(0, 2, 1)[..., None]
  x = norm(x, "data_bn") if input_norm else x
  x = block(x.reshape(b, v, 2, t).transpose(0, 2, 3, 1), "expand_gcn")
  for i, width in enumerate(widths):
    skip = x[:, :, width // 2 :: width]
    x = block(x, f"layers_tcngcn.{2 * i}")
    x = block(x, f"layers_tcngcn.{2 * i + 1}", width) + skip
  pose = np.einsum("bctv,oc->btvo", x.mean(2, keepdims=True), w["fc.weight"][..., 0])
  return pose + w["fc.bias"], seen

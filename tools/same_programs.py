"""The programs of all configs and released weights, as fingerprints to compare.

Run: python tools/same_programs.py OUT.json [--against=BEFORE.json]

from the root of a checkout. For every variant of every config the initialisation and
the whole training step (gather, augmentation, losses, update) are lowered at full size
to StableHLO, whose hash is written; of every released file also the training step of
its own model, and the paths, shapes and bytes of its arrays. Equal programs on equal
arrays give bit-equal numbers on one machine, so a change that should move no number is
made between two runs of this command. Needs the extra `test`.
"""

import argparse
import hashlib
import json
import pathlib
import sys

import jax
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from tests import configs_test
from tests import small_runs

try:
  from jaxpose.weights import pretrained
except ImportError:  # before the packages
  from jaxpose import pretrained

# Released weights -> the config and variant that they were trained with.
TRAINED = {
  "lift-27": ("lift_27", "full"),
  "lift-27-causal": ("lift_27", "causal"),
  "gla_gcn_cmu_27": ("gla_gcn_cmu", "full"),
  "mesh-16": ("glot_cmu", "detector"),
  "multiview_lifter_cmu_8": ("multiview_lifter_cmu", "full"),
}


def fingerprint(text: str | bytes) -> str:
  """A short hash."""
  content = text.encode() if isinstance(text, str) else text
  return hashlib.sha256(content).hexdigest()[:16]


def programs(config) -> list[str]:
  """Hashes of what `configs_test.trace` traces: data, initialisation, training step."""
  found, real = [], jax.eval_shape

  def lowered(function, *args):
    found.append(fingerprint(jax.jit(function).lower(*args).as_text()))
    return real(function, *args)

  jax.eval_shape = lowered
  try:
    configs_test.trace(config)
  finally:
    jax.eval_shape = real
  return found


def arrays(variables) -> str:
  """Hash of the paths, types and bytes of a tree."""
  leaves = jax.tree_util.tree_leaves_with_path(variables)
  parts = [
    f"{jax.tree_util.keystr(path)} {np.shape(x)} {np.asarray(x).dtype} ".encode()
    + np.asarray(x).tobytes()
    for path, x in leaves
  ]
  return fingerprint(b"\n".join(parts))


def main() -> None:
  """Writes the fingerprints, and compares them."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("out", type=pathlib.Path)
  parser.add_argument("--against", type=pathlib.Path)
  args = parser.parse_args()
  found = {}
  for case in configs_test.CASES:
    path, variant = case.values
    found[case.id] = programs(small_runs.get_config(str(path), variant))
    print(case.id, *found[case.id], flush=True)
  for name, (stem, variant) in TRAINED.items():
    loaded = pretrained.load(name)
    (path,) = (p for p in configs_test.FILES if p.stem == stem)
    config = small_runs.get_config(str(path), variant)
    with config.unlocked():
      config.model = dict(loaded.model)
    found[name] = [arrays(loaded.variables), *programs(config)]
    print(name, *found[name], flush=True)
  args.out.write_text(json.dumps(found, indent=1) + "\n")
  if args.against:
    before = json.loads(args.against.read_text())
    changed = sorted(k for k in before.keys() | found if before.get(k) != found.get(k))
    print(f"{len(found)} compared, {len(changed)} changed: {', '.join(changed) or '-'}")
    sys.exit(bool(changed))


if __name__ == "__main__":
  main()

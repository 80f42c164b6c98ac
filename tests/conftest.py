"""Shared fixtures: strict ranks, simulated devices, small data, the golden folder."""

import os
import pathlib

# Before jax starts: eight simulated devices for the sharding tests. The flags of
# whoever runs the tests come after, and win.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = " ".join(
  ["--xla_force_host_platform_device_count=8", os.environ.get("XLA_FLAGS", "")]
)

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_default_matmul_precision", "highest")

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def compilation_cache(tmp_path_factory) -> pathlib.Path:
  """What one test or a command that it starts has compiled, the next one reads."""
  folder = os.environ.get("JAX_COMPILATION_CACHE_DIR")
  if folder is None:
    base = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
      base = base.parent  # the workers share one
    folder = os.environ["JAX_COMPILATION_CACHE_DIR"] = str(base / "xla")
  jax.config.update("jax_compilation_cache_dir", folder)
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
  return pathlib.Path(folder)


@pytest.fixture(scope="session")
def tiny_data_dir(tmp_path_factory) -> pathlib.Path:
  """A TFDS data folder with `synthetic_motion/tiny` built in it."""
  from jaxpose.data import pose_data

  folder = tmp_path_factory.mktemp("tensorflow_datasets")
  pose_data.prepare("synthetic_motion", builder_config="tiny", data_dir=folder)
  return folder


@pytest.fixture(scope="session")
def golden() -> pathlib.Path:
  """Small golden files of the original GLA-GCN that travel with the tests."""
  return ROOT / "tests" / "golden" / "gla_gcn"


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
  """The folder `shared` beside the project; the test is skipped where it is absent."""
  path = ROOT.parent / "shared"
  if not path.is_dir():
    pytest.skip("needs the golden and motion files in ../shared, which is not here")
  return path

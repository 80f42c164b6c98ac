"""Shared fixtures: strict ranks, simulated devices, and the optional golden folder."""

import os
import pathlib

# Before jax starts: eight simulated devices for the sharding tests.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = (
  os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
)

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_default_matmul_precision", "highest")

ROOT = pathlib.Path(__file__).resolve().parent.parent


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

"""What a command does to its process."""

import os
import platform
import subprocess
import sys

import jax
import pytest

from jaxpose import runtime


@pytest.fixture
def restored():
  """Puts the tests' own cache settings back."""
  names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
  before = {name: getattr(jax.config, name) for name in names}
  yield
  for name, value in before.items():
    jax.config.update(name, value)


def test_the_cache_goes_where_the_variable_says(tmp_path, monkeypatch, restored):
  monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
  assert runtime.compilation_cache() == tmp_path
  assert jax.config.jax_persistent_cache_min_compile_time_secs == 0.5


def test_the_cache_falls_back_to_the_users_cache(tmp_path, monkeypatch, restored):
  monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
  folder = runtime.compilation_cache()
  assert folder == tmp_path / "jaxpose" / "xla"
  assert jax.config.jax_compilation_cache_dir == str(folder)


def test_memory_is_kept_where_the_c_library_can():
  # In a process of its own: the setting cannot be undone.
  code = "from jaxpose import runtime; print(runtime.keep_memory())"
  out = subprocess.run(
    [sys.executable, "-c", code],
    capture_output=True,
    text=True,
    check=True,
    env=dict(os.environ, PYTHONPATH=os.pathsep.join(p for p in sys.path if p)),
  ).stdout
  assert out.strip() == str(platform.libc_ver()[0] == "glibc")


def test_without_glibc_nothing_is_set(monkeypatch):
  monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
  monkeypatch.setattr(runtime.ctypes, "CDLL", None)  # calling it would fail
  assert runtime.keep_memory() is False

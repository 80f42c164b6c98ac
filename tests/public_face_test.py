"""What `import jaxpose` and the command `jaxpose` offer."""

import importlib.util
import subprocess
import sys

import pytest

import jaxpose
from jaxpose import __main__ as command


def test_every_public_name_is_there():
  for name in jaxpose.__all__:
    assert getattr(jaxpose, name) is not None
    assert name in dir(jaxpose)
  with pytest.raises(AttributeError, match="has no attribute 'lifft'"):
    jaxpose.lifft  # noqa: B018


def test_the_import_alone_brings_nothing_heavy():
  code = (
    "import sys, jaxpose; "
    "print([m for m in ('jax', 'flax', 'numpy', 'matplotlib') if m in sys.modules])"
  )
  done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
  assert done.stdout.strip() == "[]", done.stderr


def test_every_verb_is_a_module_that_can_be_run():
  for verb in command.VERBS:
    spec = importlib.util.find_spec(f"jaxpose.{verb}")
    if spec.submodule_search_locations:
      spec = importlib.util.find_spec(f"jaxpose.{verb}.__main__")
    assert spec is not None
    assert f"jaxpose {verb} " in command.usage()


def test_no_verb_lists_them_and_a_wrong_one_is_refused(capsys):
  command.main([])
  assert capsys.readouterr().out.strip() == command.usage()
  with pytest.raises(SystemExit, match="got the verb 'trian', expected one of train, "):
    command.main(["trian"])


def test_a_verb_runs_with_its_own_options(capsys, monkeypatch):
  monkeypatch.setattr(sys, "argv", ["jaxpose"])
  with pytest.raises(SystemExit) as stopped:
    command.main(["evaluate", "--help"])
  assert stopped.value.code == 0
  assert "--reversed_tail" in capsys.readouterr().out

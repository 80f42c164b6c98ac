"""The command `python -m jaxpose.train`."""

import sys

from absl import app
from absl import flags
from absl import logging
from ml_collections import config_flags

from jaxpose import runtime
from jaxpose.train import train
from jaxpose.train.rundir import config_path
from jaxpose.train.rundir import default_workdir

_CONFIG = config_flags.DEFINE_config_file("config", help_string="File or name.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run [runs/...].")
flags.mark_flag_as_required("config")


def main(argv: list[str]) -> None:
  """The command."""
  del argv
  logging.set_verbosity(logging.WARNING)
  runtime.start()
  config = _CONFIG.value
  workdir = _WORKDIR.value or default_workdir(_config_name(sys.argv))
  try:
    train(config, workdir)
  except (ValueError, OSError) as error:
    sys.exit(f"error: {error}")
  except TypeError as error:
    # The contents of model, optimizer, evals and the like are arguments.
    if "unexpected keyword argument" not in str(error):
      raise
    sys.exit(f"error: in the config: {error}")
  print(f"run: {workdir}")


def _config_name(argv: list[str]) -> str:
  """Value of --config=... or --config ...; empty if absent."""
  for i, word in enumerate(argv):
    if word.startswith("--config="):
      return word.partition("=")[2]
    if word == "--config" and i + 1 < len(argv):
      return argv[i + 1]
  return ""


def _parse(argv: list[str]) -> list[str]:
  """Parses the flags; a mistake in the config or an override is one line."""
  name = _config_name(argv)
  try:
    if name:
      path = config_path(name)
      argv = [
        word.replace(name, path) if word in (name, f"--config={name}") else word
        for word in argv
      ]
    return flags.FLAGS(argv)
  except flags.Error as error:
    sys.exit(f"error: {str(error).strip().splitlines()[-1]}")
  except (AttributeError, KeyError, TypeError, ValueError) as error:
    sys.exit("error: in the config or an override: " + " ".join(str(error).split()))


if __name__ == "__main__":
  app.run(main, flags_parser=_parse)

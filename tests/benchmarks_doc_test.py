"""docs/benchmarks.md: each row's command is one that trains, each protocol is known."""

import re
import shlex

import pytest
from absl import flags
from ml_collections import config_flags

from jaxpose.files import resources
from jaxpose.metrics import protocols
from tests import builder_testing
from tests import configs_test

ROOT = builder_testing.DATASETS.parent
PAGE = ROOT / "docs" / "benchmarks.md"
SHORT = {
  "W": "data.window",
  "F": "model.filter_widths",
  "D": "data",
  "E": "evals",
}


def rows() -> list[dict[str, str]]:
  lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
  head, *body = [
    [cell.strip() for cell in line.strip("|").split("|")] for line in lines
  ]
  return [dict(zip(head, cells, strict=True)) for cells in body]


ROWS = rows()
COMMANDS = list(dict.fromkeys(row["train"].strip("`") for row in ROWS))


def overridden(command: str, monkeypatch):
  """The config as the command line makes it."""
  name, *changes = shlex.split(command)
  words = []
  for change in changes:
    knob, _, value = change.partition("=")
    letter, *more = knob.split(".")
    words.append(f"--config.{'.'.join([SHORT[letter], *more])}={value}")
  argv = ["train", f"--config={resources.folder('configs') / name}", *words]
  values = flags.FlagValues()
  config_flags.DEFINE_config_file("config", flag_values=values)
  monkeypatch.setattr("sys.argv", argv)  # where overrides are looked for
  values(argv)
  return values.config


def test_the_letters_are_explained_in_the_page():
  text = PAGE.read_text()
  for letter, knob in SHORT.items():
    assert re.search(rf'"{letter}" (stands )?for\s+`--config\.{knob}`', text), letter


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_of_a_row_is_of_its_number_of_frames(command, monkeypatch):
  config = overridden(command, monkeypatch)
  (frames,) = {r["frames"] for r in ROWS if r["train"].strip("`") == command}
  if frames != "not known":
    assert config.data.window == int(frames)
  if "filter_widths" in config.model and "humaneva" not in config.data.name:
    assert config.model.filter_widths == (3,) * len(config.model.filter_widths)
    assert 3 ** len(config.model.filter_widths) == config.data.window


@pytest.mark.parametrize("command", [c for c in COMMANDS if " " in c])
def test_overrides_trace_at_full_size(command, monkeypatch):
  """As `configs_test` does with each config as it is."""
  configs_test.trace(overridden(command, monkeypatch))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['model']} {row['train']}")
def test_a_row_names_protocols_that_its_config_or_evaluate_scores(row):
  names = re.findall(r"`(\w+)`", row["protocols"])
  assert names or row["protocols"] == "2D errors in pixels"
  folders = {
    "Human3.6M": "human36m",
    "HumanEva-I": "humaneva",
    "MPI-INF-3DHP": "mpi_inf_3dhp",
    "3DPW": "threedpw",
  }
  for name in names:
    assert protocols.get(name).data == folders[row["data"]]
  assert row["ours"] == "-"
  assert row["hardware"]
  assert row["published"]


@pytest.mark.parametrize(
  "name", sorted({shlex.split(command)[0].partition(":")[0] for command in COMMANDS})
)
def test_the_config_of_a_published_run_says_hardware_and_number(name):
  text = (ROOT / "configs" / name).read_text()
  if not name.startswith("mpstrt"):  # nothing of it is published that could be quoted
    assert re.search(r"^Hardware.*: ", text, re.M)
    assert re.search(r"^Published(, mm.*)?: ", text, re.M)
    assert re.search(r"Ours:\s+-\.", text)

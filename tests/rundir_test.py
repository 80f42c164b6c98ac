"""A run's folder: named configs, one config per folder, and interrupts."""

import json
import os
import pathlib
import signal
import threading

import pytest

from jaxpose.config import base_config
from jaxpose.train import rundir

ROOT = pathlib.Path(__file__).resolve().parent.parent


def make_config(**knobs):
  config = base_config()
  config.total_steps = 4
  for key, value in knobs.items():
    config[key] = value
  return config


@pytest.mark.parametrize(
  "name", ["quickstart", "quickstart.py", "configs/quickstart.py"]
)
@pytest.mark.parametrize("variant", ["", ":smoke"])
def test_bundled_configs_are_found_from_anywhere(tmp_path, monkeypatch, name, variant):
  monkeypatch.chdir(tmp_path)
  expected = ROOT / "configs" / "quickstart.py"
  found, _, rest = rundir.config_path(name + variant).partition(":")
  assert pathlib.Path(found) == expected
  assert rest == variant[1:]


def test_configs_in_folders_are_found_by_their_path(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  expected = ROOT / "configs" / "baselines" / "videopose3d_27.py"
  for name in ("baselines/videopose3d_27", "configs/baselines/videopose3d_27.py"):
    assert rundir.config_path(f"{name}:exact") == f"{expected}:exact"


def test_a_file_of_the_user_comes_first(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / "mine.py").write_text("")
  assert rundir.config_path("mine.py:big") == "mine.py:big"


@pytest.mark.parametrize(
  "name", ["quickstrat", "configs/quick.py", "other/quickstart.py"]
)
def test_an_unknown_config_is_refused_with_near_names(tmp_path, monkeypatch, name):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(ValueError, match=r"no config '.*nearest: (.*, )?quickstart"):
    rundir.config_path(name)


def test_a_run_without_a_folder_gets_one_by_name_and_time():
  folder = rundir.default_workdir("configs/quickstart.py:smoke")
  assert pathlib.Path(folder).parent == pathlib.Path("runs")
  assert pathlib.Path(folder).name.startswith("quickstart-2")


def test_the_config_is_written_once(tmp_path):
  folder = rundir.claim_workdir(
    tmp_path / "a" / "run", make_config(), skeleton="h36m17"
  )
  text = (folder / "config.json").read_text()
  saved = json.loads(text)
  assert saved["data"]["batch_size"] == 128
  assert saved["skeleton"] == "h36m17"
  assert "command" in saved
  again = rundir.claim_workdir(folder, make_config(), skeleton="h36m17")
  assert again == folder
  assert (folder / "config.json").read_text() == text
  assert [path.name for path in folder.iterdir()] == ["config.json"]


def test_steps_and_cadence_may_change_between_parts_of_a_run(tmp_path):
  rundir.claim_workdir(tmp_path, make_config())
  text = (tmp_path / "config.json").read_text()
  longer = make_config(total_steps=8, log_every=1, evals=dict(test=dict(split="test")))
  longer.data.data_dir = "elsewhere"
  longer.data.device_resident = False
  rundir.claim_workdir(tmp_path, longer)
  assert (tmp_path / "config.json").read_text() == text
  assert json.loads((tmp_path / "config.resumed.json").read_text())["total_steps"] == 8


def test_a_run_that_is_older_than_a_knob_goes_on(tmp_path):
  config = base_config()
  rundir.claim_workdir(tmp_path, config)
  path = tmp_path / "config.json"
  old = json.loads(path.read_text())
  assert old["augment"].pop("side_swaps") == 0.0
  path.write_text(json.dumps(old))
  rundir.claim_workdir(tmp_path, config)
  config.augment.side_swaps = 0.1
  with pytest.raises(ValueError, match=r"augment.side_swaps 0.0 here, 0.1 asked for"):
    rundir.claim_workdir(tmp_path, config)


def test_the_frame_rate_of_the_data_is_part_of_a_run(tmp_path):
  rundir.claim_workdir(tmp_path / "older", make_config())
  rundir.claim_workdir(tmp_path / "older", make_config(), fps=50.0)  # goes on
  rundir.claim_workdir(tmp_path / "run", make_config(), fps=50.0)
  with pytest.raises(ValueError, match=r"fps 50.0 here, 25.0 asked for"):
    rundir.claim_workdir(tmp_path / "run", make_config(), fps=25.0)


def test_a_folder_of_another_config_is_refused(tmp_path):
  rundir.claim_workdir(tmp_path, make_config(), skeleton="h36m17")
  other = make_config(seed=3)
  other.data.batch_size = 64
  with pytest.raises(ValueError, match="holds a run of another config") as error:
    rundir.claim_workdir(tmp_path, other, skeleton="h36m17")
  assert "data.batch_size 128 here, 64 asked for; seed 0 here, 3" in str(error.value)
  with pytest.raises(ValueError, match=r"model.width null here, 8 asked for"):
    rundir.claim_workdir(
      tmp_path,
      make_config(model=dict(name="gla_gcn", variant="s_agcn", width=8)),
      skeleton="h36m17",
    )
  assert not (tmp_path / "config.resumed.json").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noted_and_the_handlers_come_back(number):
  before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
  with rundir.Interrupt() as interrupt:
    assert not interrupt.received
    os.kill(os.getpid(), number)
    assert interrupt.received
    # A second one does what it always did.
    assert signal.getsignal(number) == before[number == signal.SIGTERM]
  assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_second_ctrl_c_is_the_usual_one():
  def interrupted_twice():
    with rundir.Interrupt():
      os.kill(os.getpid(), signal.SIGINT)
      os.kill(os.getpid(), signal.SIGINT)

  # Shells start background processes, these tests perhaps, with the signal ignored.
  before = signal.signal(signal.SIGINT, signal.default_int_handler)
  try:
    with pytest.raises(KeyboardInterrupt):
      interrupted_twice()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
  finally:
    signal.signal(signal.SIGINT, before)


def test_outside_the_main_thread_signals_are_left_alone():
  seen = []

  def enter():
    with rundir.Interrupt() as interrupt:
      seen.append(interrupt.received)

  thread = threading.Thread(target=enter)
  thread.start()
  thread.join()
  assert seen == [False]

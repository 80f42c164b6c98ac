"""Videos to a dataset of features: what is in it, interruptions, mistakes."""

import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image

from jaxpose import convert
from jaxpose import features
from jaxpose import models
from jaxpose.features import extract
from jaxpose.features import spin
from jaxpose.files import video_files
from jaxpose.geometry import crops
from jaxpose.train import training
from tests import builder_testing
from tests import frames_test
from tests import resnet_reference
from tests import torch_writer

SIZE = (64, 48)


class Network:
  """2048 numbers of an image that tell frames and crops apart; counts its calls."""

  def __init__(self, fail_at=None):
    self.calls, self.fail_at = 0, fail_at

  def __call__(self, images):
    if self.calls == self.fail_at:
      raise KeyboardInterrupt
    self.calls += 1
    images = np.asarray(images)
    assert images.shape[1:] == (224, 224, 3)
    assert images.dtype == np.uint8
    means = images.reshape(len(images), 2, 112, 2, 112, 3).mean((2, 4))
    return jnp.asarray(np.resize(means.reshape(len(images), -1), (len(images), 12)))


class Wide(Network):
  def __call__(self, images):
    return jnp.pad(super().__call__(images), ((0, 0), (0, 2036)))


def frames(folder, count=6, seed=0):
  """A folder of noisy pictures; returns them too."""
  rng = np.random.default_rng(seed)
  folder.mkdir(parents=True)
  images = []
  for i in range(count):
    image = rng.integers(0, 256, (SIZE[1], SIZE[0], 3)).astype(np.uint8)
    Image.fromarray(image).save(folder / f"{i:03d}.png")
    images.append(image)
  return folder, images


def boxes_file(path, **content):
  path.write_text(json.dumps(content))
  return path


def run(videos, out, network=None, **options):
  """Folder of the dataset built with a network that is quick."""
  options = dict(name="mine", fps=25.0, batch_size=4, out=out) | options
  return features.extract_videos(videos, network or Wide(), **options)


def expected(images, boxes, scale=1.2):
  rows = [
    crops.crop(image, np.asarray(box, np.float32), scale=scale)
    for image, box in zip(images, boxes, strict=True)
  ]
  return np.asarray(Wide()(np.stack(rows)))


def random_boxes(count, seed=0):
  rng = np.random.default_rng(seed)
  return rng.uniform((10, 10, 8, 8), (50, 40, 40, 40), (count, 4)).round(2).tolist()


# What is in the dataset.


def test_features_are_those_of_the_crops(tmp_path):
  folder, images = frames(tmp_path / "walk")
  boxes = random_boxes(6)
  file = boxes_file(tmp_path / "b.json", boxes=boxes)
  built = run([folder], tmp_path / "out", boxes_path=file)
  assert built.parent == tmp_path / "out" / "video_features" / "mine"
  (record,) = features.load(built)
  np.testing.assert_array_equal(record["features"], expected(images, boxes))
  np.testing.assert_array_equal(record["frame_ids"], np.arange(6))
  np.testing.assert_array_equal(record["boxes"], np.float32(boxes))
  np.testing.assert_array_equal(record["image_size"], SIZE)
  assert (record["fps"], record["scale"]) == (25, np.float32(1.2))
  assert (record["sequence"], record["video"]) == ("walk", "walk")
  assert record["keypoints"].shape == (6, 0, 3)
  assert not (tmp_path / "out" / "video_features" / "mine.unfinished").exists()


def test_without_boxes_the_box_is_the_whole_frame(tmp_path):
  folder, images = frames(tmp_path / "walk", 2)
  (record,) = features.load(run([folder], tmp_path / "out", scale=1.0))
  np.testing.assert_array_equal(record["boxes"][:, 2:], [SIZE] * 2)
  got = expected(images, record["boxes"], scale=1.0)
  np.testing.assert_array_equal(record["features"], got)


def test_people_and_videos_become_records_of_their_own(tmp_path):
  folder, images = frames(tmp_path / "walk")
  other, other_images = frames(tmp_path / "run", 3, seed=1)
  boxes = tmp_path / "boxes"
  boxes.mkdir()
  ann, bob = random_boxes(2, 1), random_boxes(3, 2)
  points = np.arange(2 * 17 * 3, dtype=float).reshape(2, 17, 3)
  boxes_file(
    boxes / "walk.json",
    ann=dict(frames=[1, 4], boxes=ann, keypoints=points.tolist(), skeleton="coco17"),
    bob=dict(frames=[3, 4, 5], boxes=bob),
  )
  boxes_file(boxes / "run.json", boxes=random_boxes(3, 3))
  built = run([folder, other], tmp_path / "out", boxes_path=boxes, split="test")
  found = {record["sequence"]: record for record in features.load(built, "test")}
  assert sorted(found) == ["run", "walk_ann", "walk_bob"]
  np.testing.assert_array_equal(found["walk_ann"]["frame_ids"], [1, 4])
  np.testing.assert_array_equal(found["walk_ann"]["keypoints"], points)
  assert found["walk_ann"]["skeleton"] == "coco17"
  for name, where, given in (("ann", [1, 4], ann), ("bob", [3, 4, 5], bob)):
    want = expected([images[i] for i in where], given)
    np.testing.assert_array_equal(found[f"walk_{name}"]["features"], want)
  want = expected(other_images, random_boxes(3, 3))
  np.testing.assert_array_equal(found["run"]["features"], want)


def test_long_track_is_whole_again_when_loaded(tmp_path, monkeypatch):
  monkeypatch.setattr(extract, "CHUNK", 4)
  cls = builder_testing.load_build().builder_cls("video_features")
  monkeypatch.setattr(sys.modules[cls.__module__], "RECORD_ROWS", 8)
  folder, images = frames(tmp_path / "walk", 18)
  boxes = random_boxes(18)
  file = boxes_file(tmp_path / "b.json", boxes=boxes)
  built = run([folder], tmp_path / "out", boxes_path=file)
  info = json.loads((built / "dataset_info.json").read_text())
  assert info["splits"][0]["shardLengths"] == ["3"]
  (record,) = features.load(built)
  np.testing.assert_array_equal(record["frame_ids"], np.arange(18))
  np.testing.assert_array_equal(record["features"], expected(images, boxes))


def test_unknown_split_is_refused(tmp_path):
  built = run([frames(tmp_path / "walk", 2)[0]], tmp_path / "out")
  with pytest.raises(ValueError, match="has no split 'test'; it has train"):
    list(features.load(built, "test"))


def test_video_is_extracted_like_its_frames(tmp_path):
  path = frames_test.video(tmp_path / "walk.mp4", count=10)
  boxes = random_boxes(10)
  file = boxes_file(tmp_path / "b.json", boxes=boxes)
  (record,) = features.load(run([path], tmp_path / "out", boxes_path=file, fps=None))
  images = [frame for _, frame in video_files.open_source(path).read()]
  np.testing.assert_array_equal(record["features"], expected(images, boxes))
  assert (record["fps"], record["video"]) == (10, "walk.mp4")


# Interruptions.


def test_interrupted_run_goes_on_where_it_stopped(tmp_path, monkeypatch):
  monkeypatch.setattr(extract, "CHUNK", 4)
  folder, images = frames(tmp_path / "walk", 22)
  boxes = random_boxes(22)
  file = boxes_file(tmp_path / "b.json", boxes=boxes)
  with pytest.raises(KeyboardInterrupt):
    run([folder], tmp_path / "out", Wide(fail_at=4), boxes_path=file)
  again = Wide()
  built = run([folder], tmp_path / "out", again, boxes_path=file)
  assert again.calls == 3  # three chunks of six were there, the fourth was in flight
  (record,) = features.load(built)
  np.testing.assert_array_equal(record["features"], expected(images, boxes))


def test_finished_video_is_not_read_again(tmp_path, monkeypatch):
  first, second = frames(tmp_path / "a", 4)[0], frames(tmp_path / "b", 4)[0]
  with pytest.raises(KeyboardInterrupt):
    run([first, second], tmp_path / "out", Wide(fail_at=1))
  again = Wide()
  built = run([first, second], tmp_path / "out", again)
  assert again.calls == 1
  assert len(list(features.load(built))) == 2


def test_built_dataset_is_returned_without_work(tmp_path):
  folder = frames(tmp_path / "walk", 2)[0]
  built = run([folder], tmp_path / "out")
  network = Wide()
  assert run([folder], tmp_path / "out", network) == built
  assert network.calls == 0


def test_dataset_of_other_videos_is_never_overwritten(tmp_path):
  run([frames(tmp_path / "walk", 2)[0]], tmp_path / "out")
  with pytest.raises(
    FileExistsError, match="with other videos, boxes or settings, and is nev"
  ):
    run([frames(tmp_path / "run", 2)[0]], tmp_path / "out")


def test_dataset_of_other_boxes_is_not_taken_for_the_same(tmp_path):
  folder = frames(tmp_path / "walk", 2)[0]
  run([folder], tmp_path / "out")
  file = boxes_file(tmp_path / "b.json", boxes=random_boxes(2))
  with pytest.raises(FileExistsError, match="is never overwritten; choose another"):
    run([folder], tmp_path / "out", boxes_path=file)


def interrupted(tmp_path, **options):
  folder = frames(tmp_path / "walk", 4)[0]
  with pytest.raises(KeyboardInterrupt):
    run([folder], tmp_path / "out", Wide(fail_at=0), **options)
  return folder


def test_other_weights_do_not_go_on_with_what_is_there(tmp_path):
  folder = interrupted(tmp_path, settings=dict(sha256_of_weights="a"))
  with pytest.raises(ValueError, match="an extraction with another sha256_of_weights;"):
    run([folder], tmp_path / "out", settings=dict(sha256_of_weights="b"))


def test_other_boxes_do_not_go_on_with_what_is_there(tmp_path):
  folder = interrupted(tmp_path)
  file = boxes_file(tmp_path / "b.json", boxes=random_boxes(4))
  with pytest.raises(ValueError, match="the beginning of another extraction"):
    run([folder], tmp_path / "out", boxes_path=file)


def test_videos_of_an_interrupted_run_are_not_forgotten(tmp_path):
  interrupted(tmp_path)
  with pytest.raises(ValueError, match="beginning of 'walk', which is not among the"):
    run([frames(tmp_path / "run", 2)[0]], tmp_path / "out")


# Mistakes.


@pytest.mark.parametrize(
  ("options", "sentence"),
  [
    (dict(batch_size=0), "got batch_size=0 and scale=1.2, expected positive numbers"),
    (dict(scale=0.0), "got batch_size=4 and scale=0.0, expected positive"),
    (dict(name="my set"), "got the name 'my set', expected letters, digits and"),
    (dict(split="1st"), "got the split '1st', expected letters, digits and"),
  ],
)
def test_options_that_cannot_be_are_refused(tmp_path, options, sentence):
  with pytest.raises(ValueError, match=sentence):
    run([frames(tmp_path / "walk", 1)[0]], tmp_path / "out", **options)


def test_videos_of_one_name_are_refused(tmp_path):
  videos = [frames(tmp_path / c / "walk", 1)[0] for c in "ab"]
  with pytest.raises(ValueError, match="got two videos called 'walk', expected diff"):
    run(videos, tmp_path / "out")


def test_one_file_of_boxes_for_two_videos_is_refused(tmp_path):
  videos = [frames(tmp_path / c, 1)[0] for c in "ab"]
  file = boxes_file(tmp_path / "b.json", boxes=random_boxes(1))
  with pytest.raises(ValueError, match=r"got one file of boxes, .*, for 2 videos"):
    run(videos, tmp_path / "out", boxes_path=file)


def test_video_without_a_file_of_boxes_is_told(tmp_path):
  folder = frames(tmp_path / "walk", 1)[0]
  (tmp_path / "boxes").mkdir()
  with pytest.raises(FileNotFoundError, match="got no boxes of the video 'walk', exp"):
    run([folder], tmp_path / "out", boxes_path=tmp_path / "boxes")


@pytest.mark.parametrize(
  ("content", "sentence"),
  [
    (dict(boxes=random_boxes(3)), "got 3 boxes, expected 4, one for each frame of the"),
    (
      dict(boxes=random_boxes(2), frames=[0, 4]),
      "got a box for frame 4, expected numbers below 4, the frames of the video",
    ),
    (
      {"ann": dict(boxes=random_boxes(2))},
      "got 2 boxes of the track 'ann', expected 4",
    ),
  ],
)
def test_boxes_that_do_not_fit_the_video_are_refused(tmp_path, content, sentence):
  folder = frames(tmp_path / "walk", 4)[0]
  file = boxes_file(tmp_path / "b.json", **content)
  with pytest.raises(ValueError, match=sentence):
    run([folder], tmp_path / "out", boxes_path=file)
  assert not (tmp_path / "out" / "video_features" / "mine").exists()


def test_video_that_ends_early_is_told_and_what_came_out_is_kept(tmp_path, monkeypatch):
  monkeypatch.setattr(extract, "CHUNK", 4)
  folder = frames(tmp_path / "walk", 10)[0]
  read = video_files.Folder.read

  def short(self, wanted):
    yield from (pair for pair in read(self, wanted) if pair[0] < 7)

  monkeypatch.setattr(video_files.Folder, "read", short)
  with pytest.raises(ValueError, match="got 7 frames, expected 10: the video ends bef"):
    run([folder], tmp_path / "out")
  monkeypatch.setattr(video_files.Folder, "read", read)
  again = Wide()
  run([folder], tmp_path / "out", again)
  assert again.calls == 2  # of three


# The network and the command.


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
  """A file as SPIN's, with a shallow network of random weights, and those weights."""
  module = models.build("spin_resnet50", blocks=(1, 1, 1, 1))
  weights = resnet_reference.random_state_dict(module, regressor=True)
  storages = {str(i): array for i, array in enumerate(weights.values())}
  tensors = {
    name: torch_writer.whole(str(i), array)
    for i, (name, array) in enumerate(weights.items())
  }
  folder = tmp_path_factory.mktemp("spin")
  content = torch_writer.container_bytes("legacy", {"model": tensors}, storages)
  (folder / "model_checkpoint.pt").write_bytes(content)
  return folder, weights


def test_network_of_the_checkpoint_eats_crops(checkpoint):
  folder, weights = checkpoint
  network, digest = spin.read_network(folder)
  image = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3)).astype(np.uint8)
  module, variables = convert.from_torch("spin_resnet50", weights)
  want = module.apply(variables, crops.normalize(jnp.asarray(image)))["features"]
  np.testing.assert_allclose(network(image), want, rtol=1e-4, atol=1e-4)
  assert len(digest) == 64


def test_regressor_of_the_checkpoint_is_read(checkpoint):
  folder, weights = checkpoint
  regressor = spin.read_regressor(folder / "model_checkpoint.pt")
  np.testing.assert_array_equal(regressor["decpose.bias"], weights["decpose.bias"])


def test_glots_regressor_starts_from_the_checkpoint(checkpoint):
  folder, weights = checkpoint
  sizes = weights["fc1.weight"].shape
  fields = dict(regressor_hidden=sizes[0], feat_dim=sizes[1] - 157, width=16, depth=1)
  module = models.build("glot", **fields)
  x = jnp.zeros((1, *module.input_shape))
  variables = jax.jit(module.init)(jax.random.key(0), x)
  started = spin.start_regressor(variables, folder)
  shapes = jax.tree.map(np.shape, started)
  assert shapes == jax.tree.map(np.shape, dict(variables))
  regressor = started["params"]["global_regressor"]
  np.testing.assert_array_equal(regressor["hidden"]["kernel"].T, weights["fc1.weight"])
  np.testing.assert_array_equal(regressor["betas"]["bias"], weights["decshape.bias"])
  camera = weights["init_cam"].reshape(-1)
  np.testing.assert_array_equal(started["constants"]["camera"], camera)
  np.testing.assert_array_equal(
    started["params"]["hscr"]["camera"]["kernel"],
    variables["params"]["hscr"]["camera"]["kernel"],
  )
  state = training.TrainState(
    jnp.zeros((), jnp.int32),
    variables["params"],
    dict(constants=variables["constants"]),
    (),
  )
  tx = optax.sgd(0.1)
  begun = training.start_from_spin(state, tx, str(folder))
  np.testing.assert_array_equal(
    begun.params["global_regressor"]["hidden"]["kernel"], regressor["hidden"]["kernel"]
  )
  np.testing.assert_array_equal(begun.model_state["constants"]["camera"], camera)
  with pytest.raises(ValueError, match="a model without a regressor like SPIN's"):
    training.start_from_spin(state._replace(params={}), tx, str(folder))


def test_a_regressor_of_another_size_is_refused(checkpoint):
  folder, _ = checkpoint
  module = models.build("glot", feat_dim=12, regressor_hidden=8, width=16, depth=1)
  x = jnp.zeros((1, *module.input_shape))
  variables = jax.eval_shape(module.init, jax.random.key(0), x)
  with pytest.raises(
    ValueError, match=r"in SPIN's regressor, expected \(.* set feat_d"
  ):
    spin.start_regressor(variables, folder)


def test_absent_weights_are_told_with_where_to_get_them(tmp_path):
  with pytest.raises(
    FileNotFoundError, match=r"no weights at .*github.com/nkolot/SPIN"
  ):
    spin.read_network(tmp_path)
  with pytest.raises(
    FileNotFoundError, match=r"no weights at .*nowhere.pt. SPIN's che"
  ):
    spin.read_network(tmp_path / "nowhere.pt")


def test_network_of_another_width_is_refused(tmp_path):
  module = models.build("spin_resnet50", blocks=(1, 1, 1, 1), width=8)
  weights = resnet_reference.random_state_dict(module)
  storages = {str(i): array for i, array in enumerate(weights.values())}
  tensors = {
    name: torch_writer.whole(str(i), array)
    for i, (name, array) in enumerate(weights.items())
  }
  path = tmp_path / "narrow.pt"
  path.write_bytes(torch_writer.container_bytes("zip", {"model": tensors}, storages))
  with pytest.raises(ValueError, match="a network of 256 features, expected the 2048"):
    spin.read_network(path)


def test_command_builds_a_dataset(tmp_path, checkpoint):
  folder, images = frames(tmp_path / "walk", 3)
  command = [sys.executable, "-m", "jaxpose.features", str(folder)]
  command += [f"--weights={checkpoint[0]}", "--name=mine", "--fps=25"]
  command += [f"--out={tmp_path / 'out'}", "--batch_size=2"]
  environment = dict(os.environ, PYTHONPATH=str(builder_testing.DATASETS.parent))
  done = subprocess.run(
    command, capture_output=True, text=True, env=environment, cwd=tmp_path
  )
  assert done.returncode == 0, done.stderr
  place = done.stdout.splitlines()[-1].removeprefix("dataset: ")
  assert "frames/s" in done.stderr  # the progress bar
  (record,) = features.load(place)
  network, _ = spin.read_network(checkpoint[0])
  box = record["boxes"]
  rows = [crops.crop(i, b) for i, b in zip(images, box, strict=True)]
  np.testing.assert_allclose(
    record["features"], network(np.stack(rows)), rtol=1e-3, atol=1e-3
  )


def test_command_tells_a_mistake_in_one_line(tmp_path):
  with pytest.raises(SystemExit, match=r"^error: no weights at [^\n]*$"):
    features.main(["walk.mp4", f"--weights={tmp_path}", "--name=mine"])


def test_interrupted_command_says_how_to_go_on(
  tmp_path, checkpoint, monkeypatch, capsys
):
  folder = frames(tmp_path / "walk", 3)[0]

  def stop(*args, **kwargs):
    raise KeyboardInterrupt

  monkeypatch.setattr(extract, "run", stop)
  arguments = [str(folder), f"--weights={checkpoint[0]}", "--name=mine", "--fps=25"]
  with pytest.raises(SystemExit) as error:
    features.main([*arguments, f"--out={tmp_path / 'out'}"])
  assert error.value.code == 130
  assert "the same command goes on from the finished parts" in capsys.readouterr().err

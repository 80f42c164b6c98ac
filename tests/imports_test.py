"""Which room may import which: the house rules, and that they catch a breach."""

import ast
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BASE = ("jaxpose.geometry", "jaxpose.cameras", "jaxpose.skeletons")
ARRAYS = ("jax", "jaxtyping", "numpy")
TOP = ("jaxpose", "datasets", "configs", "tests", "benchmarks", "colab", "weights")

# Files -> what they may import besides the standard library and their own folder.
ONLY = {
  "configs/*.py": ("jaxpose.config",),
  "configs/*/*.py": ("jaxpose.config",),
  "datasets/*/*.py": (
    *(*BASE, "jaxpose.body", "jaxpose.body_files", "jaxpose.body_fit"),
    *("jaxpose.sequences", "jaxpose.body_sequences", "jaxpose.vibe_db", "numpy"),
    *("jaxpose.multiview_records", "jaxpose.render", "jaxpose.skeleton_maps"),
    *("jaxpose.multiview_calibration", "jaxpose.multiview_lens"),
    *("jaxpose.multiview_recordings", "jaxpose.multiview_reprojection"),
    *("jaxpose.boxes", "jaxpose.frames", "PIL", "tensorflow_datasets"),
    *("jaxpose.build_jobs",),
    *("jaxpose.asf", "jaxpose.asf_maps", "jaxpose.amc", "jaxpose.motion_pieces"),
    *("jaxpose.bvh", "jaxpose.bvh_bones", "jaxpose.bvh_maps", "jaxpose.array_pickle"),
    "jaxpose.user_folder",
    *("jaxpose.proportions", "jaxpose.smpl_folder", "jaxpose.bvh_dialects"),
    *("jaxpose.keypoint_files", "jaxpose.keypoint_tracks", "jaxpose.gaps"),
    *("jaxpose.benchmark_record", "jaxpose.object_npz", "jaxpose.videopose3d_npz"),
    *("absl", "cdflib", "h5py", "scipy.io"),
  ),
  "datasets/build.py": (
    *("jaxpose.build_jobs", "jaxpose.build_packages", "jaxpose.build_shuffle"),
    *("tensorflow_datasets", "apache_beam"),
  ),
  "jaxpose/build_jobs.py": ("jaxpose.build_tasks", "apache_beam", "tqdm"),
  "jaxpose/build_[pt]*.py": (),
  "jaxpose/build_shuffle.py": ("tensorflow_datasets",),
  "jaxpose/models/*.py": (
    *(*BASE, "jaxpose.body", "jaxpose.body_files", "jaxpose.skeleton_maps"),
    *("jaxpose.crops", "jaxpose.triangulation", "jaxpose.models", "flax", *ARRAYS),
  ),
  "jaxpose/skeletons.py": ("numpy", "jaxpose.joint_sets"),
  "jaxpose/geometry.py": ARRAYS,
  "jaxpose/cameras.py": (*BASE, *ARRAYS),
  "jaxpose/triangulation.py": (*BASE, *ARRAYS),
  "jaxpose/body.py": (*BASE, *ARRAYS),
  "jaxpose/body_asset.py": ("jaxpose.body", "numpy"),
  "jaxpose/body_files.py": (
    *("jaxpose.body", "jaxpose.body_asset", "jaxpose.smpl_pickle", "numpy"),
  ),
  "jaxpose/body_fit.py": ("jaxpose.body", "scipy.optimize", *BASE, *ARRAYS),
  "jaxpose/body_sequences.py": (
    *("jaxpose.body", "jaxpose.proportions", "jaxpose.sequences"),
    *(*BASE, *ARRAYS),
  ),
  "jaxpose/keypoint_crops.py": (*BASE, *ARRAYS),
  "jaxpose/mesh_losses.py": ARRAYS,
  "jaxpose/framing.py": ("jaxpose.geometry", "jaxpose.skeletons", "jaxtyping", "numpy"),
  "jaxpose/gaps.py": ("numpy", "jaxtyping"),
  "jaxpose/translation.py": ("numpy", "jaxtyping"),
  "jaxpose/smoothing.py": ("jaxtyping", "numpy", "scipy.signal"),
  "jaxpose/trajectory.py": (
    *("jaxpose.cameras", "jaxpose.gaps", "jaxpose.translation"),
    *("jaxtyping", "numpy", "scipy.ndimage"),
  ),
  "jaxpose/world.py": (
    *("jaxpose.skeletons", "jaxpose.smoothing", "jaxtyping", "numpy", "scipy.ndimage"),
  ),
  "jaxpose/whole_files.py": (),
  "jaxpose/npz_files.py": ("numpy",),
  "jaxpose/focal_metadata.py": ("jaxpose.frames", "PIL", "imageio_ffmpeg"),
  "jaxpose/predict_folder.py": ("jaxpose.whole_files",),
  "jaxpose/predict_command.py": (
    *("jaxpose.predict_outputs", "jaxpose.predict_person", "jaxpose.predict_video"),
    *("jaxpose.predict_live", "jaxpose.predict_rig_command"),
  ),
  "jaxpose/predict_rig_command.py": (
    *("jaxpose.multiview_calibration", "jaxpose.predict_outputs"),
    *("jaxpose.predict_person", "jaxpose.predict_rig", "jaxpose.predict_video"),
    "jaxpose.views_poses",
  ),
  "jaxpose/multiview_rigs.py": (
    *("jaxpose.detector_places", "jaxpose.multiview_crops", "jaxpose.multiview_motion"),
    *("jaxpose.rigs", *BASE, *ARRAYS),
  ),
  "jaxpose/views_source.py": (
    *("jaxpose.frames", "jaxpose.multiview_calibration", "jaxpose.multiview_lens"),
    *("jaxpose.multiview_recordings", "jaxpose.predict_source", "numpy"),
  ),
  "jaxpose/views_people.py": (
    *("jaxpose.detect_tracks", "jaxpose.keypoint_tracks", "jaxpose.triangulation"),
    *("jaxpose.views_source", "jaxtyping", "numpy"),
  ),
  "jaxpose/views_draw.py": (
    *("jaxpose.skeletons", "jaxpose.stage", "jaxpose.strokes", "jaxpose.video_draw"),
    *("jaxpose.video_encoder", "jaxpose.views_source", "jaxpose.whole_files"),
    *("PIL", "jaxtyping", "numpy"),
  ),
  "jaxpose/newest.py": (),
  "jaxpose/live_source.py": ("jaxpose.frames", "jaxpose.newest", "numpy"),
  "jaxpose/live_page.py": ("jaxpose.newest", "jaxtyping", "numpy", "PIL"),
  "jaxpose/live_numbers.py": ("numpy",),
  "jaxpose/live_draw.py": (
    *("jaxpose.skeletons", "jaxpose.stage", "jaxpose.video_draw", "jaxpose.world"),
    *("jaxtyping", "numpy"),
  ),
  "jaxpose/bone_rotations.py": (*BASE, "jaxtyping", "numpy", "scipy.ndimage"),
  "jaxpose/bvh_writer.py": (
    *("jaxpose.body", "jaxpose.body_files", "jaxpose.bone_rotations", "jaxpose.bvh"),
    *("jaxpose.meshes", "jaxpose.whole_files", *BASE),
    *("jaxtyping", "numpy", "scipy.spatial"),
  ),
  "jaxpose/asf.py": ("jaxpose.geometry", "numpy"),
  "jaxpose/amc.py": ("jaxpose.asf", "jaxpose.geometry", "numpy"),
  "jaxpose/asf_maps.py": (
    *("jaxpose.amc", "jaxpose.asf", "jaxpose.head_points", *BASE, "jaxtyping", "numpy"),
  ),
  "jaxpose/head_points.py": ("jaxtyping", "numpy"),
  "jaxpose/motion_pieces.py": (*BASE, "numpy"),
  "jaxpose/pose_csv.py": (*BASE, "jaxpose.whole_files", "jaxtyping", "numpy"),
  "jaxpose/pose_npz.py": (
    *(*BASE, "jaxpose.npz_files", "jaxpose.whole_files", "jaxtyping", "numpy"),
  ),
  "jaxpose/strokes.py": ("jaxtyping", "numpy"),
  "jaxpose/stage.py": (
    *(*BASE, "jaxpose.render", "jaxpose.strokes"),
    *("PIL", "jaxtyping", "numpy", "scipy.ndimage"),
  ),
  "jaxpose/video_draw.py": (
    *("jaxpose.skeletons", "jaxpose.stage", "jaxpose.strokes", "jaxpose.whole_files"),
    *("jaxpose.video_encoder", "PIL", "jaxtyping", "numpy"),
  ),
  "jaxpose/video_encoder.py": ("imageio_ffmpeg", "numpy"),
  "jaxpose/html_page.py": (
    *(*BASE, "jaxpose.stage", "jaxpose.whole_files", "jaxtyping", "numpy", "viser"),
  ),
  "jaxpose/meshes.py": (
    *("jaxpose.body", "jaxpose.body_files", "jaxpose.mesh_files", *BASE),
    *("jaxpose.npz_files", "jaxpose.whole_files", "numpy", "jaxtyping"),
  ),
  "jaxpose/mesh_files.py": (
    *("jaxpose.meshes", "jaxpose.mesh_animation", "jaxpose.whole_files"),
    *("numpy", "jaxtyping", "trimesh"),
  ),
  "jaxpose/mesh_animation.py": (
    *("jaxpose.body", "jaxpose.body_files", "jaxpose.meshes", *BASE),
    *("numpy", "jaxtyping", "pygltflib"),
  ),
  "jaxpose/array_pickle.py": ("numpy",),
  "jaxpose/smpl_pickle.py": ("jaxpose.array_pickle", "numpy"),
  "jaxpose/metrics.py": (*BASE, "optax", *ARRAYS),
  "jaxpose/protocol_types.py": ("jaxpose.skeletons", "jaxtyping", "numpy"),
  "jaxpose/protocol_table.py": ("jaxpose.metrics", "jaxpose.protocol_types"),
  "jaxpose/rigs.py": (*BASE, *ARRAYS),
  "jaxpose/transforms.py": (*BASE, "jaxpose.rigs", *ARRAYS),
  "jaxpose/detector_places.py": (
    *("jaxpose.head_points", "jaxpose.skeleton_maps", *BASE, *ARRAYS),
  ),
  "jaxpose/detector_errors.py": (*BASE, "jaxpose.detector_places", *ARRAYS),
  "jaxpose/sequences.py": (*BASE, *ARRAYS, "tensorflow_datasets"),
  "jaxpose/joblib_pickle.py": ("numpy",),
  "jaxpose/object_npz.py": ("jaxpose.joblib_pickle", "numpy"),
  "jaxpose/resection.py": (*BASE, "jaxtyping", "numpy"),
  "jaxpose/benchmark_record.py": (
    *(*BASE, "jaxpose.proportions", "jaxpose.sequences"),
    *("jaxtyping", "numpy", "tensorflow_datasets"),
  ),
  "jaxpose/videopose3d_npz.py": (
    *("jaxpose.cameras", "jaxpose.object_npz", "jaxpose.resection", "numpy"),
  ),
  "jaxpose/joblib_file.py": ("jaxpose.joblib_pickle", "numpy"),
  "jaxpose/vibe_record.py": ("jaxpose.skeletons", "jaxtyping", "numpy"),
  "jaxpose/vibe_db.py": (
    *("jaxpose.joblib_file", "jaxpose.vibe_record", "h5py", "numpy"),
  ),
  "jaxpose/render.py": (*BASE, *ARRAYS),
  "jaxpose/multiview_calibration.py": ("numpy",),
  "jaxpose/multiview_lens.py": (
    *("jaxpose.cameras", "jaxpose.multiview_calibration", "numpy", "PIL"),
  ),
  "jaxpose/multiview_recordings.py": (
    *("jaxpose.boxes", "jaxpose.frames", "jaxpose.multiview_calibration"),
    *("jaxpose.multiview_lens", "numpy"),
  ),
  "jaxpose/multiview_reprojection.py": (
    *("jaxpose.cameras", "jaxpose.triangulation", "numpy"),
  ),
  "jaxpose/multiview_views.py": (
    *("jaxpose.multiview_crops", "jaxpose.multiview_lens", "jaxpose.triangulation"),
    *("jaxpose.cameras", "jaxtyping", "numpy", "PIL"),
  ),
  "jaxpose/multiview_poses.py": (
    *("jaxpose.skeletons", "jaxpose.npz_files", "jaxpose.whole_files"),
    *("jaxtyping", "numpy"),
  ),
  "jaxpose/multiview_placing.py": (
    *("jaxpose.multiview_crops", "jaxpose.multiview_poses", "jaxpose.multiview_views"),
    *("jaxpose.triangulation", *BASE, "jaxtyping", "numpy"),
  ),
  "jaxpose/multiview_plan.py": ("jaxtyping", "numpy"),
  "jaxpose/movies.py": ("jaxpose.video_encoder", "matplotlib", "numpy", "PIL"),
  "jaxpose/multiview_records.py": (*BASE, "PIL", "tensorflow_datasets", *ARRAYS),
  "jaxpose/multiview_crops.py": (*BASE, "PIL", *ARRAYS),
  "jaxpose/multiview_augment.py": (*BASE, "jaxpose.multiview_crops", *ARRAYS),
  "jaxpose/bvh.py": ("jaxpose.geometry", "numpy"),
  "jaxpose/bvh_bones.py": ("jaxpose.bvh", "numpy"),
  "jaxpose/bvh_dialects.py": ("jaxpose.skeletons",),
  "jaxpose/bvh_maps.py": (
    *("jaxpose.bvh", "jaxpose.bvh_bones", "jaxpose.bvh_dialects", "jaxpose.geometry"),
    *("jaxpose.head_points", "jaxpose.motion_pieces", "jaxpose.skeletons", "numpy"),
  ),
  "jaxpose/user_folder.py": (),
  "jaxpose/keypoint_tracks.py": ("jaxtyping", "numpy"),
  "jaxpose/keypoint_json.py": ("jaxpose.keypoint_tracks", "numpy"),
  "jaxpose/keypoint_tables.py": (
    *("jaxpose.keypoint_tracks", "jaxpose.skeletons", "numpy"),
  ),
  "jaxpose/keypoint_files.py": (
    *("jaxpose.keypoint_json", "jaxpose.keypoint_tables", "jaxpose.keypoint_tracks"),
    "jaxpose.skeletons",
  ),
  "jaxpose/blazepose_detector.py": ("jaxtyping", "numpy"),
  "jaxpose/blazepose_landmarks.py": (
    *("jaxpose.blazepose_detector", "jaxtyping", "numpy"),
  ),
  "jaxpose/blazepose_networks.py": (
    *("jaxpose.blazepose_detector", "jaxpose.blazepose_landmarks", "jaxpose.crops"),
    *("jaxpose.turned_crops", "ai_edge_litert", "jaxtyping", "numpy"),
  ),
  "jaxpose/blazepose_weights.py": ("absl.logging", "jaxpose.whole_files"),
  "jaxpose/blazepose.py": (
    *("jaxpose.blazepose_landmarks", "jaxpose.one_euro", "jaxpose.turned_crops"),
    *("jaxtyping", "numpy"),
  ),
  "jaxpose/turned_crops.py": ("jaxtyping", "numpy"),
  "jaxpose/one_euro.py": ("jaxtyping", "numpy"),
  "jaxpose/limb_swaps.py": ("jaxpose.gaps", "jaxpose.skeletons", "jaxtyping", "numpy"),
  "jaxpose/detect_chunks.py": ("jaxpose.whole_files", "numpy"),
  "jaxpose/proportions.py": ("jaxpose.skeletons", "jaxtyping", "numpy"),
  "jaxpose/smpl_folder.py": ("jaxpose.body", "jaxpose.body_files"),
  "jaxpose/config.py": ("ml_collections",),
}
# Files -> what they may not import.
NEVER = {
  "jaxpose/**/*.py": ("jaxpose.train", *TOP[1:]),
  "jaxpose/data.py": ("flax", "jaxpose.models", "jaxpose.config"),
  "jaxpose/batches.py": ("flax", "jaxpose.models", "jaxpose.config"),
  "jaxpose/mesh_batches.py": ("flax", "jaxpose.models", "jaxpose.config"),
  "jaxpose/multiview_[!s]*.py": ("flax", "jaxpose.models", "jaxpose.config"),
  "jaxpose/multiview_scoring.py": ("jaxpose.config", "jaxpose.training"),
  "jaxpose/multiview_scored_poses.py": ("jaxpose.config", "jaxpose.training"),
  "jaxpose/multiview_stream.py": ("jaxpose.config", "jaxpose.predict"),
  "jaxpose/kinds.py": ("jaxpose.config", "jaxpose.training"),
  "jaxpose/predict*.py": ("jaxpose.config",),
  "jaxpose/views_*.py": ("flax", "jaxpose.config", "jaxpose.predict_rig"),
  "jaxpose/mesh_*.py": ("jaxpose.predict", "jaxpose.config"),
  "jaxpose/detect*.py": ("flax", "jaxpose.models", "jaxpose.predict", "jaxpose.config"),
}


def imported(source: str) -> set[str]:
  """Absolute names that a file imports, wherever in it: `from a import b` is a.b."""
  names = set()
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.Import):
      names |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom) and not node.level:
      names |= {f"{node.module}.{alias.name}" for alias in node.names}
  return {name for name in names if name.split(".")[0] not in sys.stdlib_module_names}


def within(name: str, rooms) -> bool:
  return any(name == room or name.startswith(f"{room}.") for room in rooms)


def breaches(root: pathlib.Path) -> list[str]:
  """`file: name` of each import that a rule forbids."""
  found = []
  for table, wrong in ((ONLY, lambda n, r: not within(n, r)), (NEVER, within)):
    for pattern, rooms in table.items():
      for path in sorted(root.glob(pattern)):
        if not path.name.endswith("_test.py"):
          names = sorted(imported(path.read_text()))
          found += [f"{path.relative_to(root)}: {n}" for n in names if wrong(n, rooms)]
  return found


def test_every_room_keeps_the_rules():
  assert breaches(ROOT) == []


def test_every_rule_is_about_files_that_exist():
  for pattern in (*ONLY, *NEVER):
    assert list(ROOT.glob(pattern)), pattern


@pytest.mark.parametrize(
  ("path", "line", "name"),
  [
    ("jaxpose/models/new.py", "from jaxpose import data", "jaxpose.data"),
    ("jaxpose/models/new.py", "import optax", "optax"),
    ("jaxpose/metrics.py", "import flax.linen as nn", "flax.linen"),
    ("jaxpose/geometry.py", "from jaxpose.config import f", "jaxpose.config.f"),
    ("jaxpose/skeletons.py", "import jax", "jax"),
    ("jaxpose/body.py", "from jaxpose import body_files", "jaxpose.body_files"),
    ("jaxpose/transforms.py", "from jaxpose import models", "jaxpose.models"),
    ("jaxpose/data.py", "def f():\n  import flax", "flax"),
    ("jaxpose/scoring.py", "from jaxpose.train import train", "jaxpose.train.train"),
    ("jaxpose/scoring.py", "from tests import small_data", "tests.small_data"),
    ("jaxpose/models/new.py", "import datasets", "datasets"),
    ("configs/new.py", "import numpy as np", "numpy"),
    ("configs/new.py", "from jaxpose import train", "jaxpose.train"),
    ("datasets/new/new_dataset_builder.py", "from jaxpose import data", "jaxpose.data"),
  ],
)
def test_a_breach_is_found(tmp_path, path, line, name):
  file = tmp_path / path
  file.parent.mkdir(parents=True)
  file.write_text(f"import os\nfrom . import sibling\n{line}\n")
  assert f"{path}: {name}" in breaches(tmp_path)


def test_what_is_allowed_is_no_breach(tmp_path):
  (tmp_path / "configs").mkdir()
  (tmp_path / "configs" / "new.py").write_text("from jaxpose.config import base_config")
  (tmp_path / "jaxpose").mkdir()
  # A longer name is another module.
  (tmp_path / "jaxpose" / "new.py").write_text("from jaxpose import training")
  assert breaches(tmp_path) == []


def test_importing_the_package_imports_nothing_heavy():
  heavy = ("jax", "flax", "numpy", "tensorflow_datasets", "matplotlib", "orbax")
  code = f"import sys, jaxpose; print([m for m in {heavy} if m in sys.modules])"
  out = subprocess.run(
    [sys.executable, "-c", code],
    env=dict(os.environ, PYTHONPATH=str(ROOT)),
    capture_output=True,
    text=True,
    check=True,
  ).stdout
  assert out.strip() == "[]"

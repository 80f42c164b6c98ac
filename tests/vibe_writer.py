"""Made-up databases in the form of VIBE and TCMR, for the builders' tests."""

import numpy as np

from tests import joblib_writer

DEFAULT = {"a_0": 18, "b_1": 9, "c_0": 20}  # video -> frames


def database(
  videos: dict[str, int] | None = None,
  *,
  joints_2d: int = 49,
  joints_3d: int | None = 49,
  smpl: bool = False,
  boxes: bool = True,
  frame_id: bool = True,
  seed: int = 0,
  **changes,
) -> dict[str, np.ndarray]:
  """Arrays of a database.

  Args:
    videos: name -> frames.
    joints_2d: joints of `joints2D`.
    joints_3d: joints of `joints3D`; None leaves it out.
    smpl: with `pose` and `shape`.
    boxes: with `bbox`; keypoints are in pixels of the crop otherwise.
    frame_id: with the numbers of the frames, which count in twos from 4 on.
    seed: of the numbers.
    **changes: arrays to replace or add, None to leave one out.
  """
  rng = np.random.default_rng(seed)
  videos = DEFAULT if videos is None else videos
  names = np.repeat(list(videos), list(videos.values()))
  n = len(names)
  boxes_px = np.concatenate([rng.uniform(200, 900, (n, 2)), np.ones((n, 2))], 1)
  boxes_px[:, 2:] *= rng.uniform(100, 400, (n, 1))
  pixels = rng.uniform(0, 224, (n, joints_2d, 2))
  if boxes:
    pixels = boxes_px[:, None, :2] + (pixels / 112 - 1) * boxes_px[:, None, 2:] / 2
  seen = rng.integers(0, 2, (n, joints_2d, 1))
  db = {
    "vid_name": names,
    "frame_id": np.concatenate([4 + 2 * np.arange(k) for k in videos.values()]),
    "img_name": np.array([f"images/{i:06d}.jpg" for i in range(n)], dtype=object),
    "joints2D": np.concatenate([pixels, seen], -1).astype(np.float32),
    "bbox": boxes_px.astype(np.float32),
    "features": np.repeat(rng.random((n, 8), np.float32), 256, 1),
  }
  if joints_3d:
    db["joints3D"] = rng.normal(0, 0.3, (n, joints_3d, 3)).astype(np.float32)
  if smpl:
    db["pose"] = rng.normal(0, 0.3, (n, 72)).astype(np.float32)
    db["shape"] = rng.normal(0, 1, (n, 10)).astype(np.float32)
  if not boxes:
    del db["bbox"], db["img_name"]
  if not frame_id:
    del db["frame_id"]
  return {k: v for k, v in (db | changes).items() if v is not None}


def write(path, db: dict[str, np.ndarray]) -> None:
  """Writes a database with joblib's bytes, or as HDF5 if its name ends in .h5."""
  path.parent.mkdir(parents=True, exist_ok=True)
  if path.suffix != ".h5":
    joblib_writer.dump(path, db, alignment=16)
    return
  import h5py

  with h5py.File(path, "w") as file:
    for key, value in db.items():
      kind = value.dtype.kind
      file.create_dataset(key, data=value.astype("S") if kind == "U" else value)


def check_records(records: list[dict], db: dict, frames: dict[str, int]) -> None:
  """Asserts that records hold a database's videos in its order, and their rows.

  Keypoints are checked by turning them back into pixels.
  """
  from jaxpose.formats import vibe
  from tests import builder_testing

  names = [builder_testing.text(record, "sequence") for record in records]
  assert names == list(frames)
  start = 0
  for record, count in zip(records, frames.values(), strict=True):
    rows = slice(start, start + count)
    start += count
    assert builder_testing.text(record, "skeleton") == "spin49"
    np.testing.assert_array_equal(record["features"], db["features"][rows])
    placed = vibe.to_spin49(db["joints2D"][rows])
    np.testing.assert_array_equal(record["confidence"], placed[..., 2])
    pixels = record["keypoints_2d"] * 112.0 + 112
    if "bbox" in db:
      box = db["bbox"][rows, None].astype(np.float64)
      pixels = (pixels - 112) / 224 * 1.2 * box[..., 2:] + box[..., :2]
      np.testing.assert_array_equal(record["boxes"], db["bbox"][rows])
    else:
      assert not record["boxes"].any()
    np.testing.assert_allclose(pixels, placed[..., :2], atol=1e-2)  # pixels
    assert record["has_joints_3d"] == ("joints3D" in db)
    if "joints3D" in db:
      joints = vibe.to_spin49(db["joints3D"][rows])
      np.testing.assert_array_equal(record["joints_3d"], joints)
    else:
      assert record["joints_3d"].shape == (count, 49, 3)
      assert not record["joints_3d"].any()
    assert record["has_smpl"] == ("pose" in db)
    pose = db["pose"][rows] if "pose" in db else np.zeros((count, 72))
    np.testing.assert_array_equal(record["smpl_pose"].reshape(count, 72), pose)
    betas = db["shape"][rows] if "shape" in db else np.zeros((count, 10))
    np.testing.assert_array_equal(record["betas"], betas)
    ids = db["frame_id"][rows] if "frame_id" in db else np.arange(count)
    np.testing.assert_array_equal(record["frame_id"], ids)
  assert start == len(db["features"])

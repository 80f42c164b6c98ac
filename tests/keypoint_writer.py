"""Writes keypoints in the layouts of detectors and annotation tools."""

import csv
import json

import numpy as np

from jaxpose import skeletons

# Format -> joints of a person.
JOINTS = {
  "coco": 17,
  "detections": 17,
  "openpose": 25,
  "alphapose": 17,
  "halpe26": 26,
  "mmpose": 17,
  "mmpose_images": 26,
  "mediapipe": 33,
}
SIZE = (1280, 720)


def people(joints, frames=6, count=1, seed=0):
  """(count, frames, joints, 3) pixels and confidence of people who walk apart."""
  rng = np.random.default_rng(seed)
  rest = rng.uniform(50, 250, (count, 1, joints, 2)) + [
    [[[400.0 * c, 100]]] for c in range(count)
  ]
  points = rest + 5 * np.arange(frames)[:, None, None]
  sure = rng.uniform(0.3, 1, (count, frames, joints, 1))
  return np.concatenate([points, sure], -1)


def write(path, form, points, ids=False, first=0):
  """Writes (p, t, j, 3); returns the path of the file or folder.

  Args:
    path: without suffix.
    form: a key of `JOINTS`, "csv" or "npz".
    points: of the people; someone with NaN in a frame is not in it.
    ids: with the numbers of the people where the format has them.
    first: number of the first frame.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  if form in ("csv", "npz"):
    return {"csv": write_csv, "npz": write_npz}[form](path, points, first)
  frames = [
    (first + t, [(p, points[p, t]) for p in range(len(points)) if _there(points[p, t])])
    for t in range(points.shape[1])
  ]
  if form in ("openpose", "mmpose_images"):
    path.mkdir()
    for t, found in frames:
      if form == "openpose":
        content = dict(version=1.3, people=[_openpose(p, x, ids) for p, x in found])
        name = f"{path.name}_{t:012d}_keypoints.json"
      else:
        content, name = [_mmpose(p, x, ids) for p, x in found], f"{t:06d}.json"
      (path / name).write_text(json.dumps(content))
    return path
  content = {
    "coco": _coco,
    "detections": _detections,
    "alphapose": _alphapose,
    "halpe26": _alphapose,
    "mmpose": _mmpose_video,
    "mediapipe": _mediapipe,
  }[form](frames, ids)
  path = path.with_name(path.name + ".json")
  path.write_text(json.dumps(content))
  return path


def _there(points):
  return not np.isnan(points).all()


def _flat(points):
  return points.reshape(-1).tolist()


def _openpose(person, points, ids):
  return dict(person_id=[person if ids else -1], pose_keypoints_2d=_flat(points))


def _mmpose(person, points, ids):
  made = dict(
    keypoints=points[:, :2].tolist(),
    keypoint_scores=points[:, 2].tolist(),
    bbox_score=1,
  )
  return made | (dict(track_id=person) if ids else {})


def _mmpose_video(frames, ids):
  infos = [
    dict(frame_id=t, instances=[_mmpose(p, x, ids) for p, x in found])
    for t, found in frames
  ]
  return dict(meta_info=dict(dataset_name="coco"), instance_info=infos)


def _coco(frames, ids):
  images, annotations = [], []
  for t, found in frames:
    images.append(dict(id=100 + t, file_name=f"video_2/{t:06d}.jpg"))
    for p, x in found:
      flags = np.where(x[:, 2:] > 0, 2, 0)
      made = dict(image_id=100 + t, category_id=1, num_keypoints=17)
      made["keypoints"] = _flat(np.concatenate([x[:, :2], flags], 1))
      annotations.append(made | (dict(track_id=p) if ids else {}))
  annotations.append(dict(image_id=100, category_id=1, num_keypoints=0))
  return dict(images=images, annotations=annotations, categories=[])


def _detections(frames, ids):
  return [
    dict(image_id=t, category_id=1, keypoints=_flat(x), score=0.9)
    | (dict(track_id=p) if ids else {})
    for t, found in frames
    for p, x in found
  ]


def _alphapose(frames, ids):
  return [
    dict(image_id=f"{t}.jpg", category_id=1, keypoints=_flat(x), score=2.5)
    | (dict(idx=[p]) if ids else {})
    for t, found in frames
    for p, x in found
  ]


def _mediapipe(frames, ids):
  made = []
  for t, found in frames:
    landmarks = [
      [dict(x=x / SIZE[0], y=y / SIZE[1], z=0.1, visibility=c) for x, y, c in points]
      for _, points in found
    ]
    made.append(dict(frame=t, pose_landmarks=landmarks))
  return made


def write_csv(path, points, first=0, skeleton="coco17", joints_3d=None):
  """One row for each person and frame."""
  path = path.with_name(path.name + ".csv")
  names = skeletons.get(skeleton).joints[::-1]  # in another order
  with path.open("w", newline="", encoding="utf-8") as file:
    out = csv.writer(file)
    kinds = [
      "x",
      "y",
      "confidence",
      *(["x3d", "y3d", "z3d"] if joints_3d is not None else []),
    ]
    out.writerow(["frame", "track", *(f"{n}_{kind}" for n in names for kind in kinds)])
    for p, t in np.ndindex(points.shape[:2]):
      row = points[p, t, ::-1]
      if joints_3d is not None:
        row = np.concatenate([row, joints_3d[t, ::-1]], -1)
      cells = ["" if np.isnan(v) else repr(float(v)) for v in row.reshape(-1)]
      out.writerow([first + t, f"p{p}", *cells])
  return path


def write_npz(path, points, first=0, **arrays):
  """All people of one skeleton, person after person."""
  path = path.with_name(path.name + ".npz")
  p, t = points.shape[:2]
  arrays = dict(skeleton="coco17") | arrays
  np.savez(
    path,
    keypoints=points.reshape(p * t, *points.shape[2:]),
    frames=np.tile(np.arange(first, first + t), p),
    track=np.repeat([f"p{i}" for i in range(p)], t),
    **{key: value for key, value in arrays.items() if value is not None},
  )
  return path

import pickle

import numpy as np
import pytest

from jaxpose.files import pickles

CONTENT = {
  "floats": np.arange(6.0).reshape(2, 3),
  "columns": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
  "big endian": np.arange(3, dtype=">i4"),
  "empty": np.zeros((0, 3)),
  "flags": np.asarray([True, False]),
  "strided": np.arange(10)[::2],
  "names": np.asarray(["a", "straße"]),
  "scalar": np.float32(2.5),
  "nested": [{"x": (np.ones(2), "ü", None)}, 1.5, 2**40],
}


def same(got, expected):
  if isinstance(expected, dict):
    assert got.keys() == expected.keys()
    for key in expected:
      same(got[key], expected[key])
  elif isinstance(expected, list | tuple):
    assert type(got) is type(expected)
    for a, b in zip(got, expected, strict=True):
      same(a, b)
  elif isinstance(expected, np.ndarray):
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)
  else:
    assert got == expected


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_come_back_of_every_protocol(protocol):
  same(pickles.read(pickle.dumps(CONTENT, protocol)), CONTENT)


def test_text_pickles_of_python_2_are_read():
  raw = b"(dp0\nS'name'\np1\nS'caf\\xe9'\np2\nsS'x'\np3\n(lp4\nF1.5\naI2\nas."
  assert pickles.read(raw) == {"name": "café", "x": [1.5, 2]}


def test_arrays_of_objects_are_read_or_refused():
  raw = pickle.dumps(np.asarray([{"a": np.ones(1)}, None], object))
  (first, second) = pickles.read(raw)
  assert first["a"] == 1
  assert second is None
  with pytest.raises(ValueError, match="holds a numpy array of type 'O8', expected"):
    pickles.read(raw, names=pickles.WITHOUT_OBJECTS)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_cut_anywhere_is_one_sentence(protocol):
  raw = pickle.dumps(CONTENT, protocol)
  for length in range(0, len(raw) - 1, 29):
    with pytest.raises(ValueError, match="truncated or damaged: it is no pickle") as e:
      pickles.read(raw[:length])
    assert "\n" not in str(e.value)


def test_more_names_make_objects_with_attributes():
  raw = b"\x80\x02cpkg\nThing\n)\x81}X\x01\x00\x00\x00xK\x05sb."
  found = pickles.read(raw, inert="pkg .*")
  assert found == pickles.Unread("pkg.Thing")
  assert found.state == {"x": 5}

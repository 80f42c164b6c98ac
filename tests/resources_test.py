"""Where the folders that travel with the package are found."""

import pytest

from jaxpose.files import resources


@pytest.mark.parametrize("name", ["configs", "datasets", "weights"])
def test_the_folders_of_a_checkout_are_found(name):
  assert resources.folder(name).name == name


def test_what_a_wheel_carries_comes_first(tmp_path, monkeypatch):
  package = tmp_path / "site-packages" / "jaxpose"
  (package / "_bundled" / "configs").mkdir(parents=True)
  # Another project's folder of that name beside the installed package is not ours.
  (tmp_path / "site-packages" / "configs").mkdir()
  monkeypatch.setattr(resources, "_PACKAGE", package)
  assert resources.folder("configs") == package / "_bundled" / "configs"


def test_a_lost_folder_is_said(tmp_path, monkeypatch):
  monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "jaxpose")
  with pytest.raises(FileNotFoundError, match="has no folder 'weights'; install it"):
    resources.folder("weights")

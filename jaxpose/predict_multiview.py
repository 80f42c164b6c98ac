"""The command `python -m jaxpose.predict_multiview`, for weights that read pictures."""

from jaxpose.predict.views_files import main

if __name__ == "__main__":
  main()

"""The command `python -m jaxpose.predict`."""

from jaxpose.predict.command import main

if __name__ == "__main__":
  main()

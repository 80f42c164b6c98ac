"""Image features of people in videos, as `python -m jaxpose.features` extracts them."""

"""Records on disk to windows to augmented batches; knows no model."""

"""Records on disk to windows to augmented batches; the package imports no models.

`sequences` and `view_records` define the records, `pose_data`, `view_data` and
`view_motion` read them, `transforms`, `people`, `detector_errors` and `view_transforms`
augment, `build_jobs` is for dataset builders.
"""

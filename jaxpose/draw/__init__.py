"""Pictures, films and pages of poses and bodies; no display is needed."""

"""Pictures, films and pages."""

"""The states of a job, as the API tells them and the command line reads them."""

ENDED = ("done", "failed", "refused", "expired", "unknown", "held")
"""After which nothing more comes of it."""

"""What a job asks for, under the name by which the simulated world knows it: its sources are frozen by digest, and what
ships is calibrated on the questions that they make."""

from managers.job import JobRequest

__all__ = ["JobRequest"]

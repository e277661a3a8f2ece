"""Create-only writes that tell the truth about what happened."""

__version__ = "0.1.0"

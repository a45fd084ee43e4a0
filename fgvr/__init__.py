"""Fine-grained visual recognition without human labels."""

__version__ = "0.1.0"

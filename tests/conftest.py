"""Fixtures of all tests, and an environment in which no test reaches for a network."""

import os

# before anything imports huggingface_hub or wandb, which read them once
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["WANDB_MODE"] = "offline"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from ddp_pool import ddp_pool

__all__ = ["ddp_pool"]

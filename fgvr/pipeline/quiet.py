"""Messages of other packages that tell a user of fgvr nothing, each with the reason."""

import logging
import warnings

_WARNINGS = (
    # Lightning 2.6 asks in the way that torch 2.14 replaces
    r".*isinstance\(treespec, LeafSpec\).*",
    # the frozen towers are meant to be in evaluation mode
    r"Found \d+ module\(s\) in eval mode.*",
    # batches of image features come from memory; data.num_workers is for photos
    r".*does not have many workers.*",
    # fit tests with the sampler of fgvr, which repeats no photo
    r"Using `DistributedSampler` with the dataloaders.*",
    # the method keeps the predictions, in the order of the photos, and the recorder writes them
    r"predict returned None if it was on purpose.*",
    # only training writes checkpoints, so only training has the callback
    r"Be aware that when using `ckpt_path`, callbacks used to create the checkpoint.*",
    # a new run has a new folder; a resumed one is meant to go on in its own
    r"Checkpoint directory .* exists and is not empty.*",
    # photos of 90 to 179 megapixels, which are read; fgvr/pixels.py has the bounds
    r"Image size \(\d+ pixels\) exceeds limit of \d+ pixels, could be decompression bomb.*",
)


def silence() -> None:
    """Keep them off the terminal, for this process."""
    for message in _WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    # an advertisement for a hosted logger
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_is_no_tip)  # a filter is added once
    # misses a kernel for 4 bits on a CPU as soon as it is imported, by whoever looks which packages there are
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)


def _is_no_tip(record: logging.LogRecord) -> bool:
    # what a stopped run says is how to go on
    return not any(words in record.getMessage() for words in ("litlogger", "Detected KeyboardInterrupt"))

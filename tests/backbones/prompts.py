"""What prompts of every backbone that cuts them into batches are checked with."""

import torch


def check_batches(encoders, names, atol):
    """The same features and gradients, whatever the batch size of the prompt encoder."""
    results = []
    for encoder in encoders:
        encoder.prepare(names, 4, "end")
        context = torch.full((4, encoder.token_dim), 0.01, requires_grad=True)
        features = encoder(context)
        features[:, 0].sum().backward()
        results.append((features.detach(), context.grad))
    for whole, batched in zip(*results, strict=True):
        torch.testing.assert_close(batched, whole, atol=atol, rtol=1e-4)

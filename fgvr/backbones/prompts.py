"""What the prompt encoders of all text towers that read one embedding a token have in common."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fgvr.backbones.base import PromptEncoder
from fgvr.errors import FgvrError, TextTooLongError
from fgvr.text import counted


class TokenPromptEncoder(PromptEncoder):
    """Prompts whose context tokens are replaced by learnable vectors; a subclass adds tokenizer and tower.

    The layout is CoOp's: start tokens, context and name in the order of the position, end tokens. Underscores in a name
    become spaces.

    Args:
        token_embedding: The tower's word embeddings.
        max_tokens: Most tokens of a text, start and end tokens included.
        batch_size: Prompts per forward pass of the tower. Of more classes than that, activations are not kept but
            computed again in the backward pass, batch by batch, which bounds memory for any number of classes.
        full_length: Whether the tower must see ``max_tokens`` tokens whatever the prompts' length, because padding
            takes part in its features. Otherwise prompts are padded to the longest one only.
        pad: Token id of the padding.
        placeholder: Token id in place of the context; a word, where the tower makes a mask from the ids.

    Attributes:
        before: Context vectors before the name, once ``prepare`` was called.
        tokens: int64, shape ``(C, L)``: token ids of the prompts.
        slots: int64, shape ``(C, n_ctx)``: where in a prompt each context vector goes.
        last: int64, shape ``(C,)``: index of a prompt's last end token.
    """

    before: int
    tokens: Tensor
    slots: Tensor
    last: Tensor

    def __init__(
        self,
        token_embedding: nn.Embedding,
        max_tokens: int,
        batch_size: int,
        full_length: bool = False,
        pad: int = 0,
        placeholder: int = 0,
    ) -> None:
        super().__init__()
        self.token_embedding = token_embedding
        self.token_dim = token_embedding.embedding_dim
        self.max_tokens = max_tokens
        self.batch_size = batch_size
        self.full_length = full_length
        self.pad = pad
        self.placeholder = placeholder

    @abstractmethod
    def tokenize(self, words: str) -> list[int]:
        """Token ids of ``words`` without start and end tokens."""

    @abstractmethod
    def split(self, name: str) -> tuple[list[int], list[int], list[int]]:
        """Token ids of a prompt without context, in three parts: start tokens, the name, what follows."""

    @abstractmethod
    def encode(self, tokens: Tensor, embeddings: Tensor, last: Tensor) -> Tensor:
        """Features before normalisation, shape ``(B, embed_dim)``.

        Args:
            tokens: Token ids, for masks, shape ``(B, L)``.
            embeddings: Token embeddings without positions, shape ``(B, L, token_dim)``.
            last: Index of each prompt's last end token, shape ``(B,)``.
        """

    def embed(self, words: str) -> Tensor:
        """See the base class."""
        ids = torch.tensor(self.tokenize(words), dtype=torch.int64, device=self.token_embedding.weight.device)
        embeddings: Tensor = self.token_embedding(ids)
        return embeddings.detach().float()

    def prepare(self, class_names: Sequence[str], n_ctx: int, position: str) -> None:
        """See the base class."""
        shares = {"end": n_ctx, "middle": n_ctx // 2, "front": 0}
        if position not in shares:
            raise FgvrError(f"The class name's position is {position!r}, but must be 'end', 'middle' or 'front'.")
        self.before = before = shares[position]
        prompts, slots = [], []
        for name in class_names:
            start, words, end = self.split(name.replace("_", " "))
            free = self.max_tokens - len(start) - len(end) - n_ctx
            if len(words) > free:
                raise TextTooLongError(
                    name,
                    f"The class name {name[:60]!r} has {counted(len(words), 'token')}, but beside "
                    f"{counted(n_ctx, 'context token')} {max(free, 0)} are free. Shorten the name, or give the prompt "
                    "head fewer (n_ctx, init_words).",
                )
            held = self.placeholder
            prompts.append([*start, *[held] * before, *words, *[held] * (n_ctx - before), *end])
            after = len(start) + before + len(words)
            slots.append([*range(len(start), len(start) + before), *range(after, after + n_ctx - before)])
        width = self.max_tokens if self.full_length else max(len(prompt) for prompt in prompts)
        # the device is named because Lightning makes the GPU the default one while it configures a model
        device = self.token_embedding.weight.device
        padded = [prompt + [self.pad] * (width - len(prompt)) for prompt in prompts]
        last = [len(prompt) - 1 for prompt in prompts]
        for buffer, rows in (("tokens", padded), ("slots", slots), ("last", last)):
            self.register_buffer(buffer, torch.tensor(rows, dtype=torch.int64, device=device), persistent=False)

    def forward(self, context: Tensor) -> Tensor:
        """See the base class."""
        parts = (self.tokens, self.slots, self.last, context.expand(len(self.tokens), -1, -1))
        if len(self.tokens) <= self.batch_size:
            features = self._encode_batch(*parts)
        else:
            batches = zip(*(part.split(self.batch_size) for part in parts), strict=True)
            features = torch.cat([checkpoint(self._encode_batch, *batch, use_reentrant=False) for batch in batches])
        return F.normalize(features.float(), dim=-1)

    def bound_memory(self, keep_bytes: int, weights: Iterable[Tensor]) -> None:
        """Make batches as small as their activations need to be, measured on the first class; after ``prepare``.

        Args:
            keep_bytes: Most bytes that a batch's forward pass may keep for the backward pass; one class always fits.
            weights: Of the tower; they are there in any case.
        """
        own = {weight.untyped_storage().data_ptr() for weight in weights}
        kept = dict[int, int]()

        def count(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        width = self.token_dim
        context = torch.zeros(1, self.slots.shape[1], width, device=self.slots.device, requires_grad=True)
        first = self.tokens[:1], self.slots[:1], self.last[:1], context
        # the result is held, so that no storage is counted under the address of another one
        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            features = self._encode_batch(*first)
        del features
        self.batch_size = max(1, min(self.batch_size, keep_bytes // max(sum(kept.values()), 1)))

    def _encode_batch(self, tokens: Tensor, slots: Tensor, last: Tensor, context: Tensor) -> Tensor:
        words = self.token_embedding(tokens)
        words = words.scatter(1, slots.unsqueeze(-1).expand_as(context), context.to(words.dtype))
        return self.encode(tokens, words, last)

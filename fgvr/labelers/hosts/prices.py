"""What tokens cost."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fgvr.errors import FgvrError
from fgvr.labelers.hosts.addresses import is_private


@dataclass(frozen=True)
class Price:
    """What a model costs per million tokens, where it is known better than by the built-in list.

    Args:
        input_per_million: US dollars for a million tokens that are sent, pictures included.
        output_per_million: US dollars for a million tokens that come back, hidden reasoning included.

    Raises:
        FgvrError: A price is negative or no number.
    """

    input_per_million: float
    output_per_million: float

    def __post_init__(self) -> None:
        for name in ("input_per_million", "output_per_million"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise FgvrError(f"price.{name} is {value}; expected US dollars for a million tokens, 0 or more.")


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one request, as they are billed.

    Attributes:
        input: All that were sent.
        output: All that came back, hidden reasoning included.
        cached: Those among ``input`` that were read from the server's cache.
        cache_written: Those among ``input`` that were written to it.
    """

    input: int
    output: int
    cached: int = 0
    cache_written: int = 0


class PriceList:
    """Prices of one server's models.

    The prices are those of the package genai-prices, which has them in itself: nothing is asked for. Requests are
    priced one by one, because some models cost more per token where a request is long.

    Args:
        provider: Name of the provider in genai-prices.
        base_url: The server, where it is not the provider's own. One that genai-prices does not know is free if
            its address is of this machine or of a network of one's own; any other has no price.
        price: What the user says that a token costs; it goes before everything else.
    """

    def __init__(self, provider: str, base_url: str | None = None, price: Price | None = None) -> None:
        self._where: dict[str, Any] = {"provider_api_url": base_url} if base_url else {"provider_id": provider}
        self._base_url = base_url
        self._price = price

    def usd(self, model: str, tokens: Tokens, batch: bool = False) -> float | None:
        """What a request costs, in US dollars; ``None`` where no price is known.

        Args:
            model: Model id.
            tokens: Of this one request.
            batch: Whether it is part of a batch: half the price, where the list has no price of its own for that.
        """
        if self._price is not None:
            dollars = (
                tokens.input * self._price.input_per_million + tokens.output * self._price.output_per_million
            ) / 1e6
            return dollars / 2 if batch else dollars
        try:
            from genai_prices import Usage, calc_price
            from genai_prices.data_snapshot import get_snapshot
        except ImportError:
            return None
        if self._base_url:
            try:
                get_snapshot().find_provider(None, None, self._base_url)
            except LookupError:
                return 0.0 if is_private(self._base_url) else None
        usage = Usage(
            input_tokens=tokens.input,
            output_tokens=tokens.output,
            cache_read_tokens=min(tokens.cached, tokens.input),
            cache_write_tokens=min(tokens.cache_written, max(0, tokens.input - tokens.cached)),
        )
        name = model.removeprefix("models/")
        try:
            standard = float(calc_price(usage, name, **self._where).total_price)
            if not batch:
                return standard
            context: Mapping[str, str] = {"processing": "batch"}
            reduced = float(calc_price(usage, name, price_context=context, **self._where).total_price)
        except (LookupError, ValueError):
            return None
        return reduced if reduced < standard else standard / 2

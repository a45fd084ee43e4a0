"""The hard cap on what a labelling run may spend."""

from threading import Lock


class Budget:
    """Dollars that may be spent, reserved before a request is sent and settled after its reply.

    What is spent and what is reserved together never pass the limit, so requests in flight cannot race past it as long
    as none costs more than its reservation. Thread-safe.

    Args:
        limit: US dollars; ``None`` for no limit.

    Attributes:
        spent: What settled requests cost.
        reserved: What requests in flight may cost.

    Example:
        >>> budget = Budget(1.0)
        >>> budget.reserve(0.6), budget.reserve(0.6)
        (True, False)
        >>> budget.settle(0.6, 0.1)
        >>> budget.reserve(0.6)
        True
    """

    def __init__(self, limit: float | None = None) -> None:
        self.limit = limit
        self.spent = 0.0
        self.reserved = 0.0
        self._lock = Lock()

    def reserve(self, dollars: float) -> bool:
        """Set ``dollars`` aside; ``False`` if that would pass the limit."""
        with self._lock:
            if not self.has_room(dollars):
                return False
            self.reserved += dollars
            return True

    def has_room(self, dollars: float) -> bool:
        """Whether ``dollars`` could be set aside now."""
        # ten requests of $0.10 fit in $1.00, whatever binary fractions make of it
        return self.limit is None or self.spent + self.reserved + dollars <= self.limit + 1e-9

    def settle(self, reserved: float, spent: float) -> None:
        """Take back a reservation, and count what its request cost in truth."""
        with self._lock:
            self.reserved = max(0.0, self.reserved - reserved)
            self.spent += spent

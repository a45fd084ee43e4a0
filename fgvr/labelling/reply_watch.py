"""A word where most replies are of no use, before the rest is paid for or trained on."""

import logging
import sys
from collections import Counter
from collections.abc import Sequence

from tqdm import tqdm

from fgvr.labelers.base import Labeler
from fgvr.labelers.hosts.server_errors import redacted
from fgvr.labelers.tasked import TaskedLabeler
from fgvr.records import Reply
from fgvr.text import counted
from fgvr.vocabulary.build import fold_name

_FIRST = 20  # replies after which it is looked at, and the fewest that can be too much alike
_FEWEST = 3  # that are judged at the end
_MOST = 2_000  # that are read: reading a million takes minutes
_USELESS, _ALIKE = 0.5, 0.9
_LONGEST = 120
_LOG = logging.getLogger(__name__)

_ADVICE = {
    "failed": "What that reply's error says is to be mended first.",
    "empty": (
        "Does the model see photos, and has it tokens left for its reply? Raise data.labeler.max_output_tokens, or set "
        "data.labeler.model to another one."
    ),
    "refusal": "Ask in other words (data.labeler.prompt, or data.labeler.task with style expert), or another model.",
    "generic": (
        "Say what the photos show: data.labeler.task with style expert and a category, or ask a model that knows more."
    ),
    "unparsed": (
        "Ask for the name alone: data.labeler.task with style expert, or with structured true where the server honours "
        "schemas."
    ),
}
_ALIKE_ADVICE = (
    "Does the model see the photos? Servers pass over pictures in silence where it cannot. If their classes differ, "
    "say what they show (data.labeler.task with style expert and a category), or ask another model."
)
_SAID = {
    "failed": "failed", "empty": "are empty", "refusal": "refuse", "generic": "name no fine-grained class",
    "unparsed": "have no name that can be read",
}  # fmt: skip


class ReplyWatch:
    """Warns once where half of the replies or more name nothing, or nearly all name the same.

    It judges after 20 replies and at the end. Failures count after 20 replies alone: at the end, whoever asks tells of
    them. Names are alike where nine of ten are one, of 20 replies or more about photos no more than half of which lie
    in one folder; where all do, folders say nothing, and it is judged at the end.

    Args:
        labeler: Who replies, and reads its replies.
    """

    def __init__(self, labeler: Labeler) -> None:
        self._labeler = labeler
        # what all photos show, and what they look like, may well be the same
        self._names_classes = not isinstance(labeler, TaskedLabeler) or labeler.task.names_classes
        self._flags: Counter[str] = Counter()
        self._names: Counter[str] = Counter()
        self._folders: Counter[str] = Counter()
        self._examples: dict[str, str] = {}
        self._warned = False

    def add(self, replies: Sequence[Reply]) -> None:
        """Take replies as they come; at the twentieth, warn if that is to be done."""
        for reply in replies:
            if self._flags.total() < _MOST:
                self._take(reply)
                if self._flags.total() == _FIRST:
                    self._judge(at_end=False)

    def finish(self) -> None:
        """Judge all of them, unless a warning was given."""
        del self._flags["failed"]
        if self._flags.total() >= _FEWEST and not self._warned:
            self._judge(at_end=True)

    def _take(self, reply: Reply) -> None:
        parsed = None if reply.error else self._labeler.read(reply)
        flag = "failed" if parsed is None else parsed.flag
        self._flags[flag] += 1
        if parsed is None or flag:
            kind = flag
        else:
            kind = name = fold_name(parsed.names[0])
            self._names[name] += 1
            self._folders[reply.request.image.sample_id.rpartition("/")[0]] += 1
        if kind not in self._examples:
            said = redacted(reply.error or reply.raw or ", ".join(reply.names or ()))
            said = said if len(said) <= _LONGEST else f"{said[:_LONGEST]}..."
            self._examples[kind] = f"{reply.request.image.sample_id}: {said!r}"

    def _judge(self, at_end: bool) -> None:
        count = self._flags.total()
        useless = Counter({flag: number for flag, number in self._flags.items() if flag})
        if useless.total() >= _USELESS * count:
            worst = useless.most_common(1)[0][0]
            kinds = ", ".join(f"{number} {_SAID.get(flag, flag)}" for flag, number in useless.most_common())
            advice = _ADVICE.get(worst, "") if self._names_classes or worst == "failed" else ""
            self._warn(f"{kinds}, of", count, worst, advice, at_end)
        elif count >= _FIRST and self._names_classes and self._may_differ(at_end):
            name, number = self._names.most_common(1)[0]
            if number >= _ALIKE * self._names.total():
                self._warn(f"{number} give the same name, of", count, name, _ALIKE_ADVICE, at_end)

    def _may_differ(self, at_end: bool) -> bool:
        """Whether the photos seem to be of more than one class: photos of one class come one after the other."""
        largest = self._folders.most_common(1)[0][1]
        return largest <= self._folders.total() / 2 or (at_end and len(self._folders) == 1)

    def _warn(self, what: str, count: int, example: str, advice: str, at_end: bool) -> None:
        self._warned = True
        which = counted(count, "reply", "replies") if at_end else f"the first {counted(count, 'reply', 'replies')}"
        left = "" if at_end else " Asking goes on: Control-C ends it, and every reply is kept."
        with tqdm.external_write_mode(file=sys.stderr):  # above a progress bar
            _LOG.warning("%s %s. Such as %s. %s%s", what, which, self._examples[example], advice, left)

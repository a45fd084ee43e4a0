"""Of a reply that repeats the prompt with the marks of a chat, what the model said."""

import re

_ASKED = re.compile(
    r"<\|im_start\|>\s*user|<start_of_turn>\s*user|\[INST\]|<\|user\|>|<\|User\|>|<\|start_header_id\|>\s*user"
    r"|(?:\A|\n)\s*(?:USER|User|user|Human|HUMAN|Q|Question|Prompt)\s?(?::|\n)|###\s?(?:Instruction|"
    r"Human|User|Input|Question)"
    r"|\A\s*system\s*\n"
)
_ANSWERED = re.compile(
    r"<\|im_start\|>\s*assistant\s*\n?|<start_of_turn>\s*model\s*\n?|\[/INST\]|<\|[Aa]ssistant\|>"
    r"|<\|start_header_id\|>\s*assistant\s*<\|end_header_id\|>|###\s?(?:Response|Assistant|Answer|Output)\s?:?\s*\n"
    r"|(?:\A|\s)(?:ASSISTANT|GPT|AI)\s?:\s?|(?:\A|\n)\s*(?:Assistant|assistant|AI|model|A|Answer|"
    r"Response)\s?(?::|\n)\s*"
)
_ALONE = re.compile(
    r"\A\s*(?:<\|im_start\|>\s*assistant\s*\n?|<start_of_turn>\s*model\s*\n?|<\|[Aa]ssistant\|>|"
    r"\[/INST\]|ASSISTANT\s?:|Assistant\s?:|"
    r"<\|start_header_id\|>\s*assistant\s*<\|end_header_id\|>|###\s?(?:Response|Assistant|Answer|Output)\s?:?\s*\n|"
    r"(?:assistant|model)\s*\n)\s*"
)
_END = re.compile(
    r"<\|im_end\|>|<end_of_turn>|<\|eot_id\|>|</s>|<\|endoftext\|>|<\|end\|>|<\|end_of_text\|>|<\|end_of_sentence\|>"
    r"|\n\s*(?:USER|User|Human)\s?:|\n###\s?(?:Instruction|Human|User)"
)
_TAGS = re.compile(r"<[^<>]{0,100}>")
_ROLE = re.compile(r"<\|[a-z_]+\|>|\bsystem\b", re.IGNORECASE)
# a prompt that is repeated without marks
_PROMPT = re.compile(
    r"\A\s*(?:(?:please\s)?(?:name|identify|classify|recogni[sz]e|label|determine)\s(?:the|this|what)\b[^\n:?]{5,200}"
    r"(?:\.\s*\n|:)|what\s(?:is|kind|type|species|breed)\b[^\n?]{3,200}\?\s*\n)\s*(?=\S)",
    re.IGNORECASE,
)


def last_turn(text: str) -> str:
    """What the model said last, without the marks of the chat; the text itself where it has none.

    Args:
        text: A reply with its tags.

    Example:
        >>> last_turn("USER: Name the breed. ASSISTANT: Pug")
        'Pug'
    """
    said = text
    if asked := _ASKED.search(text):
        before = _END.split(text[: asked.start()])[0]
        if _TAGS.sub("", before).strip() and not before.lstrip().lower().startswith(
            ("system", "<|im_start|>system", "#")
        ):
            return before if not _ROLE.search(before) else text
        answers = list(_ANSWERED.finditer(text, asked.end()))
        if answers:
            said = text[answers[-1].end() :]
    said = _PROMPT.sub("", _ALONE.sub("", said, count=1), count=1)
    if end := _END.search(said):
        said = said[: end.start()]
    return said if said.strip() else text

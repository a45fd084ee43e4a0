"""Calls of tools that are written as code or with parameters in tags; as JSON they are read like other JSON."""

import re

from fgvr.reading.fields import is_name_field
from fgvr.reading.json_values import json_values
from fgvr.reading.kinds import ReplyKind
from fgvr.reading.names import Reading
from fgvr.reading.values import readings_of

# 'classify_image(label="Pug", confidence=0.9)', "[classify(label='Pug')]"
_CALL = re.compile(
    r"\b([A-Za-z_][\w.]{2,60})\(\s{0,20}"
    r"((?:[A-Za-z_]\w{0,40}\s?=\s?(?:\"[^\"\n]{0,200}\"|'[^'\n]{0,200}'|[\w.+-]{1,40})\s{0,5},?\s{0,20}){1,12})\)"
)
_ARGUMENT = re.compile(r"([A-Za-z_]\w{0,40})\s?=\s?(?:\"([^\"\n]{0,200})\"|'([^'\n]{0,200})'|([\w.+-]{1,40}))")
# '<parameter name="label">Pug</parameter>', "<parameter=label>Pug</parameter>"
_PARAMETER = re.compile(
    r"<(?:antml:)?(?:parameter|arg(?:ument)?)(?:\s+name=[\"']?|=)([A-Za-z_]\w{0,40})[\"']?\s?>([^<>]{0,300})</",
    re.IGNORECASE,
)
_ARG_KEY = re.compile(
    r"<arg_key>\s{0,9}([^<>]{1,60}?)\s{0,9}</arg_key>\s{0,9}<arg_value>\s{0,9}([^<>]{0,300}?)\s{0,9}</arg_value>",
    re.IGNORECASE,
)
# "classify('Pug', 0.9)", 'final_answer("Pug")', 'return "Pug"', but not 'search("Pug")'
_ANSWERS = (
    r"(?:\w{0,40}(?:classif|report|answer|submit|identif|label|predict|respon|result|record|finish|output|name)\w{0,40}"
    r"|print|return|set_class|done)"
)
_POSITIONAL = re.compile(
    rf"(?<![\w.])(?:\w{{1,30}}\.)?{_ANSWERS}(?:\(\s{{0,5}}|\s(?=[\"']))(?:\"([^\"\n]{{1,100}})\"|"
    rf"'([^'\n]{{1,100}}?)'(?!\w))"
    r"\s{0,5}(?:,\s?[\d.]{1,8}\s{0,5})?(?:\)|\Z|;)",
    re.IGNORECASE,
)
_OBJECT = re.compile(r"(?:\b[A-Za-z_][\w.]{2,60}\(\s{0,9}|\bcall:\s?[\w.]{2,60}\s?)(\{[^{}]{1,600}\})")
_QUOTE_TOKENS = re.compile(r"<escape>|<\|\"\|>")
_ACTION = re.compile(
    rf"\bAction\s?:\s?{_ANSWERS}\s{{0,9}}\n\s{{0,9}}Action Input\s?:\s?([^\n{{]{{1,200}})", re.IGNORECASE
)
_FINAL = re.compile(
    r"^\s{0,9}(?:Thought|Action|Observation)\s?:.*\bFinal Answer\s?:\s{0,9}(\S[^\n]{0,300})", re.DOTALL | re.IGNORECASE
)
_REACT = re.compile(
    r"^\s{0,9}Action\s?:.*^\s{0,9}Action Input\s?:[^\n]*\s*\Z", re.DOTALL | re.MULTILINE | re.IGNORECASE
)
# a reply that is nothing but a call
_ALONE = re.compile(
    r"\A\s*(?:<tool_call>\s*)?\[?(?:[a-z]+_[\w.]{1,60}\([^()]{0,300}\)|<invoke "
    r"name=.{1,2000}</invoke>|\{\s*\"name\"\s*:\s*\"[a-z]+_\w{1,40}\"\s*\})"
    r"\]?\s*(?:</tool_call>)?\s*\Z",
    re.DOTALL,
)


class ToolCallReply(ReplyKind):
    """The call of a tool, written as code or with parameters in tags; as JSON it is read like other JSON."""

    examples = (
        ('classify_image(label="Great Crested Grebe", confidence=0.93)', "Great Crested Grebe"),
        ("[report(species='Alpine Chough')]", "Alpine Chough"),
        ('```tool_code\nprint(identify_species(name="Atlantic Puffin"))\n```', "Atlantic Puffin"),
        ("<function=classify><parameter=breed>Devon Rex</parameter></function>", "Devon Rex"),
        ('<invoke name="classify"><parameter name="label">Pug</parameter></invoke>', "Pug"),
        ("classify('Devon Rex', 0.9)", "Devon Rex"),
        ('await report({ breed: "Devon Rex" });', "Devon Rex"),
        ("<tool_call>report\n<arg_key>breed</arg_key>\n<arg_value>Devon Rex</arg_value>\n</tool_call>", "Devon Rex"),
        ("<start_function_call>call:report{breed:<escape>Devon Rex<escape>}<end_function_call>", "Devon Rex"),
        ("Thought: Not a Sphynx.\nAction: report_breed\nAction Input: Devon Rex", "Devon Rex"),
        ('image_search(query="cat with curled coat")', ""),
    )

    def read(self, text: str) -> list[Reading] | None:
        """See the base class."""
        text = _QUOTE_TOKENS.sub('"', text)
        fields = _PARAMETER.findall(text) or _ARG_KEY.findall(text)
        for call in _CALL.finditer(text):
            arguments = _ARGUMENT.findall(call[2])
            fields = [(key, double or single or bare) for key, double, single, bare in arguments] or fields
        if any(is_name_field(key) for key, _ in fields):
            return list(readings_of(dict(fields)))
        for pattern in (_POSITIONAL, _ACTION, _FINAL):
            if found := pattern.findall(text):
                said = found[-1] if isinstance(found[-1], str) else next(filter(None, found[-1]))
                return list(readings_of(said.strip())) or None
        if (objects := _OBJECT.findall(text)) and (values := json_values(objects[-1])):
            readings = list(readings_of(values[0].value))
            if any(reading.name for reading in readings):
                return readings
        return [Reading("", None, "unparsed")] if _ALONE.match(text) or _REACT.search(text) else None

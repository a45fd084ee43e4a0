"""What is said around a name in English prose: before it, and of whom."""

import re

from fgvr.reading.names import KINDS
from fgvr.reading.words import lines_of

# " most likely" of "is most likely a Pug"
_ADVERB = (
    r"(?:\s+(?:most|very|likely|probably|possibly|indeed|clearly|potentially|more|also|closely|best|actually|"
    r"definitely|accurately|definitively|certainly|undoubtedly|unmistakably|almost|unquestionably|evidently|obviously|"
    r"simply|therefore|thus|instead|rather|really|just|surely|strongly))*"
)
# " best described as" of "is best described as a Pug"
_AS = rf"{_ADVERB}(?:\s+(?:identified|classified|described|recogni[sz]ed|labell?ed|known)\s+as)?"
# what a name follows: "appears to be" a Pug, "photo shows" a Pug, not a Boxer "but" a Pug, "consistent with" a Pug
CUE = re.compile(
    r"\b(?:"
    rf"(?P<plural>(?:are|appear{_ADVERB}\s+to\s+(?:be|resemble)|seem{_ADVERB}\s+to\s+be|look{_ADVERB}\s+like){_AS})"
    rf"|(?:is|was|be|(?:it|this|that)[']s|appears{_ADVERB}\s+to\s+(?:be|resemble)|seems{_ADVERB}\s+to\s+be){_AS}"
    r"|(?P<specifically>specifically|more\s+precisely)"
    r"|(?P<alias>(?:(?:commonly|popularly|often|usually|generally)\s+)?(?:known|referred\s+to)(?:\s+\w+ly)?\s+as"
    r"|(?:whose\s+|its\s+|by\s+the\s+)?common\s+name(?:\s+is|:)?|commonly\s+as|called|named(?!\s+after))"
    r"|(?P<but>but(?:\s+(?:rather|instead)|(?=\s+an?\s)))"
    r"|(?:image|photo|picture)(?:\s+[\w']+){0,5}?\s+(?:shows|depicts|features|showcases|displays|captures|portrays|"
    r"presents|contains)"
    r"|(?:shared|provided|uploaded|posted|sent)\s+(?:an?|the)\s+(?:\w+\s+)?(?:image|photo|photograph|picture)\s+of"
    r"|(?:identify|classify|label|describe)\s+(?:it|this|that|(?:the|this)\s+\w+)\s+as"
    r"|(?:identified|classified|recogni[sz]ed|labell?ed)\s+as|consistent\s+with|aligns?\s+(?:\w+\s+)?with"
    rf"|looks{_ADVERB}\s+like|resembl(?:e|es|ing)|resemblance\s+to"
    r"|(?:characteristic|typical|indicative|suggestive)\s+of|belongs?\s+to|best\s+guess|most\s+likely"
    r"|points?\s+(?:clearly\s+|strongly\s+)?(?:to|towards?)|makes?\s+(?:it|this)(?=\s+an?\s)"
    r"|(?:you're|you\s+are|we're|we\s+are|i'm|i\s+am)\s+looking\s+at|must\s+be|settle\s+on|leaning\s+towards?|"
    + "|".join(lines_of("cues"))
    + r")(?![\w'-])",
    re.IGNORECASE,
)
# before a cue: "It does not " of "It does not appear to be a Pug"
NEGATED = re.compile(r"(?:\b(?:not|never|unlike|than)|n[']t)\s+(?:\w+\s+){0,2}$", re.IGNORECASE)
# the answer after it counts: "On closer inspection, it is a Silky Terrier"
CORRECTION = re.compile(
    r"\bcloser\s+(?:inspection|look|examination)\b|\bmore\s+likely\b|\bconclu(?:de|sion)\b|\bto\s+summari[sz]e\b",
    re.IGNORECASE,
)
# the answer after it is one more: "It could also be an Elegant Tern", "The dog on the left is a Pug"
FURTHER = re.compile(
    r"\b(?:(?:could|might|may)\s+also|(?:another|other)\s+(?:possibilit(?:y|ies)|candidates?|options?)|alternatively"
    r"|also\s+bears?|(?:in|on)\s+the\s+(?:background|foreground|left|right|middle|center)|the\s+other)\b",
    re.IGNORECASE,
)
COUNTED = re.compile(
    r"\s*(?:two|three|four|five|several|some|a\s+(?:few|pair\s+of|group\s+of|flock\s+of|couple\s+of))\b", re.IGNORECASE
)
# before a cue that is singular: "These dogs might " of "These dogs might be Beagles"
PLURAL = re.compile(
    r"\b(?:they|(?:the|these|two|three|both|several)\s+\w+s)\s+(?:could|may|might|must|would)\s+(?:\w+\s+)?$",
    re.IGNORECASE,
)
# before a cue: what was thought first, or might be thought
TENTATIVE = re.compile(
    r"\b(?:at\s+first|initially|first\s+(?:glance|sight|thought|impression)|thought|mistaken|mistake|confused?"
    r"|tempt(?:ing|ed)|you\s+might|one\s+(?:might|could|may)|would\s+expect|considered"
    r"|if\s+(?:it|this)\s+(?:were|was|had)|while|although|though|instinct|my\s+first)\b",
    re.IGNORECASE,
)
# before a cue: what is spoken of is a part of the thing, or something else in the photo
OTHER_SUBJECT = re.compile(
    r"\b(?:features?|details?|clues?|traits?|marks?|marker|markings?|habitat|background|foreground|ornament|badge|logo|emblem|family|order|"
    r"manufacturer|brand|grille|patterns?|colou?rs?|coloration|bill|beak|wings?|tail|head|crest|crown|legs?|eyes?|ears|patch|location|posture|"
    r"expression|setting|wingtips?|leaves|petals|stem|cap|gills|body|coat|fur|plumage)\b[^.,;:!?]{0,60}$",
    re.IGNORECASE,
)
SUBJECT = re.compile(
    r"\b(?:it|this|that|these|bird|dog|cat|car|vehicle|species|breed|model|animal|answer)\b[^.,;:!?]{0,40}$",
    re.IGNORECASE,
)
SCIENTIFIC = re.compile(r"\b(?:scientific\w*|latin|botanical\w*)\b[^.;]{0,30}$", re.IGNORECASE)
QUESTION = re.compile(r"[^.!?\n]{1,200}\?[*_\"]*(?=\s|$)")
DISH = re.compile(r"\b(?:dish|food|dessert|meal|plate|bowl|drink|snack|pastry)\b[^.]{0,40}$", re.IGNORECASE)
STRONG = re.compile(
    r"identified|classified|appears|seems|shows|depicts|features|displays|contains|captures|presents|"
    r"most likely|must be|likely",
    re.IGNORECASE,
)
WEAK = re.compile(
    r"\b(?:look|resembl|(?:\w+\s+)?known|(?:\w+\s+)?referred|called|named|characteristic|typical|consistent|align|belong)",
    re.IGNORECASE,
)
STATES = re.compile(
    r"(?!.*\b(?:known|called|like))(?:is|are|it's|this's|that's)(?:\s+\w+)*|identif\w+\s.*|must\s+be|points?\s.*",
    re.IGNORECASE | re.DOTALL,
)
MAY_BE = re.compile(
    r"\b(?:may|might|could|would|also|similar|unlike|whereas|than|which|who)\b[^.;]{0,40}$", re.IGNORECASE
)
GENUS = re.compile(r"\bgen(?:us|era)\b[\s*_\"]*(?:\w+\s+)?$", re.IGNORECASE)
GENUS_BEHIND = re.compile(r"[\s*_]*(?:the\s+)?(?:genus\b|[*_]*[A-Z][a-z]+[*_]*\s+genus\b)")
BELONGS = re.compile(r"\bbelongs?\s+to$", re.IGNORECASE)
GENUS_ENDING = re.compile(r"(?:us|um|ia|ea|is|rys|aria|anthera|anthes|opsis|odendron|ora)$")
SEEMS = re.compile(r"look|appear|seem|it's|this|that's", re.IGNORECASE)
# before a cue, where it speaks of the photo: "The dog pictured here is", "I believe this is"
IMAGE = re.compile(rf"\b(?:pictured|shown|depicted|this|it|i|{'|'.join(sorted(KINDS))})\b", re.IGNORECASE)

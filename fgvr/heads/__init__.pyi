from fgvr.heads.base import Head as Head
from fgvr.heads.linear import LinearHead as LinearHead
from fgvr.heads.prompt import PromptHead as PromptHead
from fgvr.heads.prototype import PrototypeHead as PrototypeHead

from fgvr.judging.base import Protocol as Protocol
from fgvr.judging.cw import CwProtocol as CwProtocol
from fgvr.judging.cw_plus import CwPlusProtocol as CwPlusProtocol
from fgvr.judging.mc import McProtocol as McProtocol
from fgvr.judging.ow import OwProtocol as OwProtocol

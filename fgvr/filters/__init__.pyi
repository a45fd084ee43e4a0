from fgvr.filters.agreement import AgreementFilter as AgreementFilter
from fgvr.filters.all import AllFilter as AllFilter
from fgvr.filters.base import Filter as Filter
from fgvr.filters.dual_prompt import DualPromptFilter as DualPromptFilter
from fgvr.filters.gmm import GmmFilter as GmmFilter
from fgvr.filters.peer import PeerFilter as PeerFilter
from fgvr.filters.top_k import TopKFilter as TopKFilter

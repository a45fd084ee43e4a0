from fgvr.candidates.base import CandidateStrategy as CandidateStrategy
from fgvr.candidates.knn import KnnCandidates as KnnCandidates
from fgvr.candidates.label_propagation import LabelPropagationCandidates as LabelPropagationCandidates
from fgvr.candidates.mllm_direct import MllmDirectCandidates as MllmDirectCandidates
from fgvr.candidates.mutual_knn import MutualKnnCandidates as MutualKnnCandidates
from fgvr.candidates.random import RandomCandidates as RandomCandidates
from fgvr.candidates.single import SingleCandidates as SingleCandidates
from fgvr.candidates.union import UnionCandidates as UnionCandidates

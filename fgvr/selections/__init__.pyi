from fgvr.selections.base import Selection as Selection
from fgvr.selections.k_centre import KCentreSelection as KCentreSelection
from fgvr.selections.random import RandomSelection as RandomSelection
from fgvr.selections.typical import TypicalSelection as TypicalSelection
from fgvr.selections.uncertain import UncertainSelection as UncertainSelection

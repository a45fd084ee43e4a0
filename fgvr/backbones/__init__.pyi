from fgvr.backbones.base import Backbone as Backbone
from fgvr.backbones.lite import LiteBackbone as LiteBackbone
from fgvr.backbones.open_clip import OpenClipBackbone as OpenClipBackbone
from fgvr.backbones.paired import PairedBackbone as PairedBackbone
from fgvr.backbones.timm_visual import TimmVisualBackbone as TimmVisualBackbone

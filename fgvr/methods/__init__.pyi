from fgvr.methods.base import Method as Method
from fgvr.methods.class_means import ClassMeansMethod as ClassMeansMethod
from fgvr.methods.coop import CoOpMethod as CoOpMethod
from fgvr.methods.flyp import FlypMethod as FlypMethod
from fgvr.methods.latteclip import LatteClipMethod as LatteClipMethod
from fgvr.methods.linear import LinearMethod as LinearMethod
from fgvr.methods.reclip import ReclipMethod as ReclipMethod
from fgvr.methods.zero_shot import ZeroShotMethod as ZeroShotMethod

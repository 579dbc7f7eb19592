"""raytad: temporal action detection for whole video archives. This is its door: the command `raytad`."""

from importlib.metadata import version

__version__ = version("raytad")

"""raytad: temporal action detection for whole video archives. The door: the command line and what notebooks need."""

from importlib.metadata import version

__version__ = version("raytad")

"""Plug-ins: what one declares, how those that are installed are found, checked and put together.

A package names its plug-in by an entry point of the group `shelfwire.plugins`, or a pipeline that needs nothing around
it by one of the group `shelfwire.pipelines`. Both name a class.
"""

from shelfwire.jobs.nodes import Lane, Nodes
from shelfwire.plugins.checks import checked
from shelfwire.plugins.declaration import (
    Command,
    CommandGroup,
    Counter,
    Labels,
    Plugin,
    PluginContext,
    PluginError,
    ResultTable,
    ServiceError,
)
from shelfwire.plugins.loading import compose, installed, loaded, sections_of

__all__ = [
    "Command",
    "CommandGroup",
    "Counter",
    "Labels",
    "Lane",
    "Nodes",
    "Plugin",
    "PluginContext",
    "PluginError",
    "ResultTable",
    "ServiceError",
    "checked",
    "compose",
    "installed",
    "loaded",
    "sections_of",
]

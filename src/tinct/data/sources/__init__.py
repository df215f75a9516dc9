"""Sources of pictures. Importing the package registers them all."""

from tinct.data.sources.base import SOURCES, Category, Content, Request, Source, SourcePicture
from tinct.registry import discover

discover(__name__)

__all__ = ["SOURCES", "Category", "Content", "Request", "Source", "SourcePicture"]

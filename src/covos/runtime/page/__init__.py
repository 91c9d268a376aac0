"""Self-contained web pages: a style for light and dark screens, plots as inline SVG, pictures as data URIs."""

from covos.runtime.page.document import document, picture_uri
from covos.runtime.page.plots import COLOURS, Line, dot_plot, line_plot

__all__ = ["COLOURS", "Line", "document", "dot_plot", "line_plot", "picture_uri"]

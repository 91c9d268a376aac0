"""Core: the values that flow, the tree of errors, safe files, devices, progress, signals and web pages.

Importing this package, or any of its modules, imports neither torch nor OpenCV.
"""

"""What every room needs: safe writes, locks, devices, precision, threads, progress, interruption; plain web pages.

Importing this package, or any of its modules, imports neither torch nor OpenCV.
"""

"""What every room needs from the machine: safe writes, devices, precision, threads, progress, interruption.

Importing this package, or any of its modules, imports neither torch nor OpenCV.
"""

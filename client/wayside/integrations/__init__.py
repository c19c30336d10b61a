"""Training frameworks at home: one small file each, named like its framework and registered the framework's own way.

Each can be imported without its framework, and imports it only when it is itself imported. Nothing that fails in here
reaches the training: it is said once on stderr. docs/frameworks.md shows each in use.
"""

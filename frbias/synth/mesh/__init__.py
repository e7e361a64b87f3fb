"""The embedded parametric head renderer: people of known identity and age, from CC0 MakeHuman shapes.

Start at :mod:`frbias.synth.mesh.backend` (``MeshBackend``, ``MeshRequest``, ``render_face``).
"""

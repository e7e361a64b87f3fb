"""frbias: measure the age bias of face recognisers, and try to mend it with synthetic faces.

The command line lives in :mod:`frbias.cli`; everything it does is callable from
:mod:`frbias.core` (data, recognisers, training, verification) and :mod:`frbias.synth`
(face generators).
"""

__version__ = "0.1.0"

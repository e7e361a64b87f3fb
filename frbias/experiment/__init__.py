"""Whole experiments: generate, align, fine-tune, embed, evaluate and report, described by one TOML file.

This package stands between :mod:`frbias.cli` and the stages in :mod:`frbias.synth` and
:mod:`frbias.core`.
"""

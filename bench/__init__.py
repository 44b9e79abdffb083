"""Measure the pipeline against its peers, in one run on one machine: `python -m bench NAME`.

Ours and the peer take turns (A B A B), each from a fresh start on the same servers; figures
are medians, and ratios are taken within a round, because machines are noisy.
"""

"""Arithmetic of growing depth and length: problems from a generator, solved exactly, and accuracy as a heatmap.

May import `evals/protocol/`.
"""

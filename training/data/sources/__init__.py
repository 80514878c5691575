"""The data sources, a file each: its name, its settings, what it answers to, whether a run reads it or `prepare` does.

A file declares `LIVE`, an instance of `LiveSource`, or `PREPARED`, one of `PreparedSource`, or both. All else that knows of
it is made from that. Nothing here may import torch, config or corpus.
"""

"""The main job, on real files: `python -m storage_guard.demo [FILE ...]`.

Every line it prints was observed, and every scenario ends in "held" or "BROKEN" with what was seen instead.
"""

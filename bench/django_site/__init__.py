"""A site of a few views, set up as each contender of `python -m bench django` says."""

"""Run the servers and the whole pipeline on this machine, without containers.

`python -m deploy.local up` is what `make up` runs. The tests and the benchmarks take the
servers from here too, so what a developer runs is what is tested.
"""

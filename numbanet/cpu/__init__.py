"""Compiled kernels over batch-last blocks of lanes, the description of a model that all backends share, and the CPU's.

`program`, `update_program`, `lower` and `plan` say what a model computes, for the CPU, the GPU and the exporters;
`engine` and `runner` make the calls, from which the GPU's are derived; the rest is the CPU's.
"""

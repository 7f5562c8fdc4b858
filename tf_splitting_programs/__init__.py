"""The programs around the library: `tf-splitting grow` and its siblings.

A package of its own, because whatever imports `tf_splitting` imports Keras and its
backend first, which takes seconds: help and mistyped flags need not wait for that, and
the backend's greetings are held back.

In: a command line.
Out: what it asks for, an exit code, and one message for a mistake.

Nothing but a job imports Keras, and a job is imported once the flags are known to go
together. Rooms, highest first:

main, commands  one file for each command: its flags, its help, its job
jobs            what a command does
running         flags parsed, help, mistakes told, exit codes, a quiet backend
flags           absl flags, one module per subject
"""

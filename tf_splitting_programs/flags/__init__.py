"""absl flags that the commands share, one module per subject. No TensorFlow in here.

Importing a module defines its flags; its docstring is their title in the help.
Flagfiles of whole experiments are in `flags/experiments/` of the repository.

In: nothing.
Out: flags.
Imports from: no other room.
"""

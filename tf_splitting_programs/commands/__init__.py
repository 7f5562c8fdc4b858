"""One module for each command: what its flags are, what goes together, what helps.

In: flags.
Out: a `Program`.
Imports from: running and flags. Its job it only names, so that Keras can wait.
"""

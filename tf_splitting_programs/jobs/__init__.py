"""What the commands do: one module for each, and what they share.

In: flags that are parsed and go together.
Out: lines on the terminal; files in the folder that the flags name.
Imports from: running, flags, and the library. Keras is imported here and not above.
"""

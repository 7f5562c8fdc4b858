"""absl flags that the tools share, one module per subject. No TensorFlow in here.

Importing a module defines its flags. Flagfiles of whole experiments are in
`flags/experiments/`.
"""

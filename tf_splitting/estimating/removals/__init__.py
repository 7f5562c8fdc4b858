"""What removing each neuron would cost: one file per way to tell."""

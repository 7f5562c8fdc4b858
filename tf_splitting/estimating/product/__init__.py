"""The product S·d on a batch, for all neurons at once, and its gradients."""

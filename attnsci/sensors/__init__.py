"""How an eye samples an image: differentiable, batched, on any device."""

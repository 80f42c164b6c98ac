"""3D human pose in JAX: models, data, training, evaluation and use.

Importing this package imports nothing heavy; import the module you need, for example
`from jaxpose import predict`.
"""

__version__ = "0.1.0"

"""perfkit against its peers and its own aims, side by side in one run: `python -m benchmarks`."""

__all__: list[str] = []

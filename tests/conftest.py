"""What all tests share."""

from __future__ import annotations

import gc


def pytest_collection_finish() -> None:
    """Three thousand collected tests are no garbage: do not look through them again and again."""
    gc.collect()
    gc.freeze()

"""How many threads an estimator may use where joblib runs several of them."""

from __future__ import annotations

import os
import threading

from joblib.parallel import get_active_backend


def thread_limit(n_threads: int | None) -> int | None:
    """Threads at most; None where only the cores limit them.

    A worker process of joblib has a share of the cores, which joblib writes to OMP_NUM_THREADS. A worker thread
    shares them with others it doesn't know, so it takes one.
    """
    if n_threads is not None:
        return n_threads
    backend, _ = get_active_backend()
    if (getattr(backend, "nesting_level", 0) or 0) > 0 and threading.current_thread() is not threading.main_thread():
        return 1
    share = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(share) if share.isdecimal() and int(share) > 0 else None

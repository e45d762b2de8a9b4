"""Twenty people submit at once."""

from __future__ import annotations

import argparse
import threading
import time

from harness import Table, percentile, temporary_box

from labbox.model import JobSpec


def measure(table: Table, _options: argparse.Namespace) -> None:
    people = [f"person{number:02d}" for number in range(20)]
    with temporary_box(people) as box:
        for name in people:
            box.put(name, "study", {"code/run.sh": "true\n", "input/data.csv": "a,b\n1,2\n"})
        took: list[float] = []
        ids: list[int] = []
        errors: list[str] = []

        def submit(name: str) -> None:
            client = box.client(act_as=name)
            for number in range(100):
                started = time.perf_counter()
                try:
                    ids.append(
                        client.submit_job(JobSpec(path="study", name=f"{name}-{number}", hold=True)).id
                    )
                except Exception as error:  # noqa: BLE001 - any refusal at all is the finding
                    errors.append(repr(error))
                took.append(time.perf_counter() - started)

        threads = [threading.Thread(target=submit, args=(name,)) for name in people]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        whole = time.perf_counter() - started
        stored = sum(box.client().count_jobs().by_state.values())
        slow = percentile(took, 0.99)
        table.add(
            "2,000 submissions from 20 people at once",
            "–",
            "all accepted, none lost, p99 < 250 ms",
            f"{len(set(ids))} accepted, {stored} stored, p99 {slow * 1000:.0f} ms, {len(ids) / whole:.0f}/s"
            + (f"; {errors[0]}" if errors else ""),
            len(set(ids)) == stored == 2000 and slow < 0.25,
        )

"""The parts of `bedside segment`: the job, one scan, a folder of scans, its journal and its workers."""

"""What `bedside segment` is made of: the job, one scan, a folder of them, its journal and its workers."""
